// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Call, Decoded, IWallet} from "./IWallet.sol";
import {TestToken} from "./TestToken.sol";

/// @notice What a transaction costs: 21,000, calldata and refunds included, as in a receipt.
/// @dev `gas/check.mjs` runs this with `--isolate`, which makes a transaction of each call, and compares
/// with `gas/snapshot.json`. The encodings are those of the npm package, so that the numbers can be compared
/// with the table of the format's description; "compact" is our shortest.
contract GasTest is Base {
    using Format for Decoded;

    uint256 private constant KEYS = 5;
    /// @dev Has tokens, coin and a nonce already: nothing is written for the first time.
    address private constant OLD = 0x7777777777777777777777777777777777777777;

    IWallet private committee;

    function setUp() public override {
        super.setUp();
        // The committed artifact instead of what forge compiles without optimizer.
        bytes memory code = vm.getCode("artifacts/test/TestToken.json");
        address deployed;
        assembly {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        token = TestToken(deployed);
        committee = walletOf(committeeRoot(), 3);
        token.mint(OLD, 1000);
        token.mint(address(this), 1000);
        token.mint(address(single), 1000);
        token.mint(address(committee), 1000);
        vm.deal(OLD, 1);
        // The first use of a nonce space costs more than the others.
        single.execute(pack(erc20(OLD), 0), sign(single, erc20(OLD), 0));
        committee.execute(pack(erc20(OLD), 0), signCommittee(erc20(OLD), 0));
    }

    // ─── Encodings of the npm package ───────────────────────────────────────────────────────────────

    function pack(Call[] memory calls, uint256 nonce) private pure returns (bytes memory out) {
        out = calls.length == 1
            ? abi.encodePacked(hex"13", uint8(nonce))
            : abi.encodePacked(hex"03", uint8(nonce), uint8(calls.length));
        for (uint256 i; i < calls.length; ++i) {
            Call memory only = calls[i];
            bytes memory value = only.value == 0 ? bytes("") : abi.encode(only.value);
            uint8 flags = uint8(only.value == 0 ? 0x04 : 0x06) | uint8(only.behaviorOnError << 6);
            out = abi.encodePacked(out, flags, only.to, value, uint24(only.data.length), only.data);
        }
    }

    function compactCall(bytes memory packed, bytes memory signature) private pure returns (bytes memory) {
        return abi.encodePacked(IWallet.executeCompact.selector, uint24(packed.length), packed, signature);
    }

    function sign(IWallet wallet, Call[] memory calls, uint256 nonce) private view returns (bytes memory) {
        bytes32 hash = hashOf(Format.calls(calls, 0, nonce), wallet);
        return bytes.concat(hex"040001", signed(OWNER, hash));
    }

    function erc20(address to) private view returns (Call[] memory) {
        return list(call(address(token), abi.encodeCall(token.transfer, (to, 100))));
    }

    function native(address to) private pure returns (Call[] memory) {
        Call memory only = call(to, "");
        only.value = 1;
        return list(only);
    }

    // ─── Three of five ──────────────────────────────────────────────────────────────────────────────

    function committeeRoot() private pure returns (bytes32) {
        bytes32[] memory leaves = new bytes32[](KEYS);
        for (uint256 i; i < KEYS; ++i) leaves[i] = Format.signer(vm.addr(i + 1), 1);
        // [[0, 1], [2, [3, 4]]], as the package builds a flat list.
        bytes32 right = Format.pair(leaves[2], Format.pair(leaves[3], leaves[4]));
        return Format.pair(Format.pair(leaves[0], leaves[1]), right);
    }

    function signCommittee(Call[] memory calls, uint256 nonce) private view returns (bytes memory) {
        bytes32 hash = hashOf(Format.calls(calls, 0, nonce), committee);
        bytes memory inner = bytes.concat(shown(vm.addr(4)), shown(vm.addr(5)));
        bytes memory right = abi.encodePacked(signed(3, hash), hex"41", uint8(inner.length), inner);
        return abi.encodePacked(
            hex"040003", signed(1, hash), signed(2, hash), hex"41", uint8(right.length), right
        );
    }

    // ─── The table ──────────────────────────────────────────────────────────────────────────────────

    function snap(string memory name) private {
        vm.snapshotGasLastCall("gas", name);
    }

    function test_baselines() external {
        token.transfer(OLD, 100);
        snap("erc20 transfer of a plain account");
        (bool success,) = address(single).call{value: 1}("");
        check(success, "receipt");
        snap("plain receipt of coin");
    }

    function test_deploy_wallet() external {
        factory.deploy(stage1, singleImage(guard));
        snap("deploy wallet");
    }

    function test_one_of_one() external {
        single.execute(pack(erc20(OLD), 1), sign(single, erc20(OLD), 1));
        snap("1-of-1 erc20 transfer");
        single.execute(pack(native(OLD), 2), sign(single, native(OLD), 2));
        snap("1-of-1 native transfer");
        bytes memory compact = compactCall(pack(erc20(OLD), 3), sign(single, erc20(OLD), 3));
        (bool success,) = address(single).call(compact);
        check(success, "compact");
        snap("1-of-1 erc20 transfer, compact");
        Call[] memory two = new Call[](2);
        (two[0], two[1]) = (erc20(OLD)[0], erc20(address(0x1234567890123456789012345678901234567890))[0]);
        single.execute(pack(two, 4), sign(single, two, 4));
        snap("1-of-1 two erc20 transfers, one to a new holder");
    }

    function test_one_of_one_first() external {
        IWallet fresh = IWallet(factory.deploy(stage1, Format.image(Format.signer(owner, 1), 1, 1, address(0))));
        token.mint(address(fresh), 1000);
        address to = address(0x1234567890123456789012345678901234567890);
        bytes32 hash = hashOf(Format.calls(erc20(to), 0, 0), fresh);
        fresh.execute(pack(erc20(to), 0), bytes.concat(hex"040101", signed(OWNER, hash)));
        snap("1-of-1 first erc20 transfer, to a new holder");
    }

    function test_three_of_five() external {
        committee.execute(pack(erc20(OLD), 1), signCommittee(erc20(OLD), 1));
        snap("3-of-5 erc20 transfer");
    }

    function test_stage_2() external {
        Call[] memory update =
            list(call(address(single), abi.encodeCall(single.updateImageHash, (singleImage(owner)))));
        single.execute(pack(update, 1), sign(single, update, 1));
        snap("update of the configuration, first");
        single.execute(pack(erc20(OLD), 2), sign(single, erc20(OLD), 2));
        snap("1-of-1 erc20 transfer, stage 2");
    }

    function test_chained() external {
        bytes32 next = Format.image(Format.signer(guard, 1), 1, 1, address(0));
        bytes32 hash = hashOf(Format.calls(erc20(OLD), 0, 1), single);
        bytes memory newest = abi.encodePacked(hex"040101", signed(GUARD, hash));
        bytes32 update = Format.update(next).hash(address(single), 0);
        bytes memory oldest = abi.encodePacked(hex"060001", signed(OWNER, update));
        bytes memory chain = bytes.concat(hex"01", Format.link(newest), Format.link(oldest));
        single.execute(pack(erc20(OLD), 1), chain);
        snap("1-of-1 erc20 transfer, one pending update");
    }

    function test_deploy_and_first_transfer() external {
        bytes32 image = Format.image(Format.signer(owner, 1), 1, 2, address(0));
        uint256 state = vm.snapshotState();
        IWallet fresh = IWallet(factory.deploy(stage1, image));
        vm.revertToState(state);
        token.mint(address(fresh), 1000);
        address to = address(0x1234567890123456789012345678901234567890);
        bytes32 hash = hashOf(Format.calls(erc20(to), 0, 0), fresh);
        bytes memory signature = bytes.concat(hex"040201", signed(OWNER, hash));
        Call[] memory two = new Call[](2);
        two[0] = call(address(factory), abi.encodeCall(factory.deploy, (stage1, image)));
        two[1] = call(address(fresh), abi.encodeCall(fresh.execute, (pack(erc20(to), 0), signature)));
        (bool success,) = guest.call(pack(two, 0));
        check(success, "refused");
        snap("deploy wallet and first erc20 transfer, to a new holder");
    }
}
