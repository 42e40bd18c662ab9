// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Decoded} from "./IWallet.sol";
import {ContractSigner} from "./Mocks.sol";

/// @notice Answers with what it was asked.
contract Parrot {
    fallback(bytes calldata question) external returns (bytes memory) {
        return question;
    }
}

/// @notice Answers in other ways than ERC-1271 says.
contract Mumbler {
    bytes private answer;

    constructor(bytes memory value) {
        answer = value;
    }

    fallback(bytes calldata) external returns (bytes memory) {
        return answer;
    }
}

/// @notice Burns what it is given, or writes.
contract Waster {
    uint256 public calls;

    function isValidSignature(bytes32 hash, bytes calldata) external returns (bytes4) {
        if (hash == 0) calls++;
        else while (true) hash = keccak256(abi.encode(hash));
        return 0x1626ba7e;
    }
}

/// @notice Accepts a hash once somebody has told it to.
contract Learner {
    mapping(bytes32 => bool) private known;

    function learn(bytes32 hash) external {
        known[hash] = true;
    }

    function fail(bytes32 hash) external {
        known[hash] = true;
        revert();
    }

    function isValidSignature(bytes32 hash, bytes calldata) external view returns (bytes4) {
        return known[hash] ? bytes4(0x1626ba7e) : bytes4(0);
    }
}

contract SignatureCheckTest is Base {
    using Format for Decoded;

    bytes32 private constant HASH = keccak256("what is signed");

    /// @dev As a node does for an `eth_call` without recipient.
    function ask(address signer, bytes32 hash, address maker, bytes memory data, bytes memory signature)
        private
        returns (bool)
    {
        bytes memory code = bytes.concat(
            vm.getCode("artifacts/SignatureCheck.json"), abi.encode(signer, hash, maker, data, signature)
        );
        address made;
        assembly {
            made := create(0, add(code, 0x20), mload(code))
        }
        require(made.code.length == 32, "not one word");
        uint256 answer = uint256(bytes32(made.code));
        require(answer < 2, "neither yes nor no");
        return answer == 1;
    }

    function accepts(address signer, bytes memory signature) private returns (bool) {
        return ask(signer, HASH, address(0), "", signature);
    }

    function walletSignature(address wallet, bytes32 hash) private view returns (bytes memory) {
        return signSingle(OWNER, Format.digest(hash).hash(wallet, block.chainid));
    }

    function test_a_deployed_wallet_accepts_its_owner_and_nobody_else() external {
        bytes memory signature = walletSignature(address(single), HASH);
        check(accepts(address(single), signature), "owner");
        check(!ask(address(single), keccak256("else"), address(0), "", signature), "another hash");
        check(!accepts(address(guarded), signature), "another wallet");
        signature[10] ^= 0x01;
        check(!accepts(address(single), signature), "another signature");
    }

    function test_a_wallet_that_is_not_there_yet_is_deployed_for_the_answer() external {
        uint256 before = vm.snapshotState();
        bytes32 image = singleImage(vm.addr(0xa22ce));
        bytes memory make = abi.encodeCall(factory.deploy, (stage1, image));
        address wallet = factory.deploy(stage1, image);
        vm.revertToState(before);
        same(wallet.code.length, 0, "there already");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(0xa22ce, Format.digest(HASH).hash(wallet, block.chainid));
        bytes memory signature = bytes.concat(Format.head(1), hex"01", Format.compact(v, r, s));
        check(!accepts(wallet, signature), "without its factory");
        bytes memory makeAnother = abi.encodeCall(factory.deploy, (stage1, HASH));
        check(!ask(wallet, HASH, address(factory), makeAnother, signature), "another wallet's");
        check(!ask(wallet, HASH, address(factory), make, walletSignature(wallet, HASH)), "another owner");
        vm.revertToState(before);
        check(ask(wallet, HASH, address(factory), make, signature), "with its factory");
        // And once it is there, whether the signature is wrapped or not.
        check(wallet.code.length > 0 && accepts(wallet, signature), "deployed");
        check(ask(wallet, HASH, address(factory), make, signature), "deployed and wrapped");
    }

    function test_what_has_no_code_accepts_nothing() external {
        check(!accepts(address(0), ""), "zero");
        check(!accepts(address(0xdead), ""), "nobody");
        // The identity contract answers with the question, which begins with the right bytes.
        for (uint160 precompiled = 1; precompiled <= 0x11; ++precompiled) {
            check(!accepts(address(precompiled), "x"), "precompiled");
        }
    }

    function test_an_answer_is_the_right_word_and_nothing_like_it() external {
        check(accepts(address(new ContractSigner(0x1626ba7e)), "any"), "right");
        check(!accepts(address(new ContractSigner(0xffffffff)), "any"), "wrong");
        check(!accepts(address(new Parrot()), "any"), "parrot");
        check(!accepts(address(new Mumbler("")), "any"), "nothing");
        check(!accepts(address(new Mumbler(hex"1626ba7e")), "any"), "short");
        check(!accepts(address(new Mumbler(abi.encode(uint256(1)))), "any"), "true");
        check(!accepts(address(new Mumbler(abi.encode(uint32(0x1626ba7e)))), "any"), "at the other end");
    }

    function test_whoever_writes_accepts_nothing() external {
        check(!ask(address(new Waster()), 0, address(0), "", "any"), "writes");
    }

    function test_whoever_burns_accepts_nothing() external {
        check(!ask(address(new Waster()), HASH, address(0), "", "any"), "burns");
    }

    function test_a_deployed_contract_may_need_its_factory_call_first() external {
        Learner learner = new Learner();
        bytes memory fail = abi.encodeCall(Learner.fail, (HASH));
        bytes memory learn = abi.encodeCall(Learner.learn, (HASH));
        check(!accepts(address(learner), "any"), "before");
        check(!ask(address(learner), HASH, address(learner), fail, "any"), "a call that fails");
        check(ask(address(learner), HASH, address(learner), learn, "any"), "after");
    }
}
