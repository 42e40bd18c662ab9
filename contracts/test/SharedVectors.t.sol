// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Decoded, IWallet} from "./IWallet.sol";
import {Clock, IPasskeys, IRecovery, ISessions} from "./extensions/IExtensions.sol";

/// @notice The part of forge's test machine that looks into JSON.
interface JsonVm {
    function keyExistsJson(string calldata json, string calldata key) external view returns (bool);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function toString(uint256 value) external pure returns (string memory);
}

/// @notice The contracts agree with vectors/, which Rust makes and TypeScript reads: what is valid there
/// proves the same here, and what is invalid there reverts here.
contract SharedVectorsTest is Base {
    using Format for Decoded;

    JsonVm private constant machine = JsonVm(address(vm));
    Clock private constant clock = Clock(address(vm));
    address private constant WALLET = 0x7777777777777777777777777777777777777777;

    IWallet private wallet;
    string private json;
    string private here;

    function setUp() public override {
        super.setUp();
        // A wallet at the vectors' address: the proxy, and its implementation in the slot of that number.
        vm.etch(WALLET, address(single).code);
        clock.store(WALLET, bytes32(uint256(uint160(WALLET))), bytes32(uint256(uint160(stage1))));
        wallet = IWallet(WALLET);
        vm.chainId(1);
    }

    // ─── Reading ────────────────────────────────────────────────────────────────────────────────────

    function read(string memory file) private {
        json = vm.readFile(string.concat("../vectors/", file, ".json"));
    }

    /// @dev Goes to a vector of the list; false after the last.
    function go(string memory list, uint256 index) private returns (bool) {
        here = string.concat(".", list, "[", machine.toString(index), "]");
        if (machine.keyExistsJson(json, here)) return true;
        check(index > 0, "there are no vectors");
        return false;
    }

    function bytesOf(string memory field) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(here, field));
    }

    function wordOf(string memory field) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(here, field));
    }

    function uintOf(string memory field) private view returns (uint256) {
        return machine.parseJsonUint(json, string.concat(here, field));
    }

    function has(string memory field) private view returns (bool) {
        return machine.keyExistsJson(json, string.concat(here, field));
    }

    function name() private view returns (string memory) {
        return machine.parseJsonString(json, string.concat(here, ".name"));
    }

    /// @dev The call reverts, for another reason than the one that a well-formed value would have.
    function refuses(address target, bytes memory data, bytes4 wellFormed) private {
        (bool success, bytes memory answer) = target.call(data);
        check(!success, string.concat(name(), " is accepted"));
        check(bytes4(answer) != wellFormed, string.concat(name(), " is read"));
    }

    function hello() private pure returns (Decoded memory payload) {
        payload.kind = 1;
        payload.message = "hello";
    }

    // ─── Configurations, payloads, signatures ───────────────────────────────────────────────────────

    function test_configurations_have_the_same_image_hash() external {
        read("config");
        // Silent: it knows no snapshot.
        address checkpointer = 0x3333333333333333333333333333333333333333;
        clock.mockCall(checkpointer, hex"ccce3bc8", abi.encode(0, 0));
        for (uint256 i; go("valid", i); ++i) {
            (,,, bytes32 npm,,) = wallet.recoverPartialSignature(hello(), bytesOf(".unsigned.npm"));
            (,,, bytes32 shortest,,) = wallet.recoverPartialSignature(hello(), bytesOf(".unsigned.shortest"));
            same(npm, wordOf(".imageHash"), name());
            same(shortest, wordOf(".imageHash"), name());
        }
    }

    function test_payloads_have_the_same_hash() external {
        read("payload");
        bytes memory signer = abi.encodePacked(hex"000111", owner);
        bytes memory everyChain = abi.encodePacked(hex"020111", owner);
        for (uint256 i; go("valid", i); ++i) {
            bytes memory encoded = bytesOf(".abi");
            Decoded memory payload = abi.decode(encoded, (Decoded));
            same(keccak256(abi.encode(payload)), keccak256(encoded), "another ABI form");
            vm.chainId(1);
            same(hashBy(payload, signer), wordOf(".hashes.1"), name());
            vm.chainId(8453);
            same(hashBy(payload, signer), wordOf(".hashes.8453"), name());
            same(hashBy(payload, everyChain), wordOf(".hashes.0"), name());
        }
    }

    function hashBy(Decoded memory payload, bytes memory signature) private view returns (bytes32 hash) {
        (,,,,, hash) = wallet.recoverPartialSignature(payload, signature);
    }

    function test_packed_calls_that_are_invalid_are_refused() external {
        read("payload");
        bytes memory signature = abi.encodePacked(hex"000111", owner);
        for (uint256 i; go("invalid", i); ++i) {
            if (!has(".packed")) continue;
            bytes memory data = abi.encodeCall(IWallet.execute, (bytesOf(".packed"), signature));
            refuses(WALLET, data, IWallet.InvalidSignatureWeight.selector);
        }
    }

    function test_signatures_prove_the_same() external {
        read("signature");
        for (uint256 i; go("valid", i); ++i) {
            proves(bytesOf(".signature.npm"));
            proves(bytesOf(".signature.shortest"));
        }
    }

    function proves(bytes memory signature) private view {
        Decoded memory payload = abi.decode(bytesOf(".payload"), (Decoded));
        (uint256 threshold, uint256 weight,, bytes32 image, uint256 checkpoint, bytes32 hash) =
            wallet.recoverPartialSignature(payload, signature);
        same(threshold, uintOf(".threshold"), name());
        same(weight, uintOf(".weight"), name());
        same(image, wordOf(".imageHash"), name());
        same(checkpoint, uintOf(".checkpoint"), name());
        same(hash, wordOf(".opHash"), name());
    }

    function test_signatures_that_are_invalid_are_refused() external {
        read("signature");
        for (uint256 i; go("invalid", i); ++i) {
            bytes memory data = abi.encodeCall(IWallet.isValidSignature, (keccak256("hello"), bytesOf(".signature")));
            refuses(WALLET, data, IWallet.InvalidSignatureWeight.selector);
        }
    }

    // ─── Extensions ─────────────────────────────────────────────────────────────────────────────────

    function extension(string memory artifact) private returns (address) {
        bytes memory code = vm.getCode(string.concat("artifacts/", artifact, ".json"));
        (bool success, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), code));
        check(success, artifact);
        return address(bytes20(answer));
    }

    /// @dev Signed by nobody's session key: a tree that is read fails for that.
    function sessionCall(bytes memory tree) private view returns (bytes memory) {
        bytes memory strangers = bytes.concat(hex"00", bytes32(uint256(1)), bytes32(uint256(1)));
        bytes memory signature = abi.encodePacked(uint24(tree.length), tree, hex"00", strangers);
        Decoded memory payload = Format.calls(list(call(address(token), "")), 0, 0);
        return abi.encodeCall(ISessions.recoverSapientSignature, (payload, signature));
    }

    function test_session_trees_are_read_or_refused() external {
        address sessions = extension("Sessions");
        read("session");
        for (uint256 i; go("valid", i); ++i) {
            readable(sessions, bytesOf(".encoded.npm"));
            readable(sessions, bytesOf(".encoded.shortest"));
            readable(sessions, bytesOf(".minimisedEncoded.npm"));
            readable(sessions, bytesOf(".minimisedEncoded.shortest"));
        }
        for (uint256 i; go("invalid", i); ++i) {
            refuses(sessions, sessionCall(bytesOf(".encoded")), ISessions.InvalidSessionSigner.selector);
        }
    }

    function readable(address sessions, bytes memory tree) private {
        (, bytes memory answer) = sessions.call(sessionCall(tree));
        check(bytes4(answer) == ISessions.InvalidSessionSigner.selector, name());
    }

    function test_recovery_trees_are_read_or_refused() external {
        address recovery = extension("Recovery");
        read("recovery");
        for (uint256 i; go("valid", i); ++i) {
            waits(recovery, bytesOf(".encoded"));
            waits(recovery, bytesOf(".trimmed"));
        }
        for (uint256 i; go("invalid", i); ++i) {
            bytes memory data =
                abi.encodeCall(IRecovery.recoverSapientSignatureCompact, (keccak256("hash"), bytesOf(".encoded")));
            refuses(recovery, data, IRecovery.QueueNotReady.selector);
        }
    }

    /// @dev The tree is read: what it lacks is a queued payload.
    function waits(address recovery, bytes memory tree) private {
        (, bytes memory answer) =
            recovery.call(abi.encodeCall(IRecovery.recoverSapientSignatureCompact, (keccak256("hash"), tree)));
        check(bytes4(answer) == IRecovery.QueueNotReady.selector, name());
    }

    function test_passkeys_have_the_same_root_or_are_refused() external {
        IPasskeys passkeys = IPasskeys(extension("Passkeys"));
        read("passkey");
        for (uint256 i; go("valid", i); ++i) {
            bytes32 challenge = wordOf(".challenge");
            same(passkeys.recoverSapientSignatureCompact(challenge, bytesOf(".encoded")), wordOf(".root"), name());
            // The deployed contracts take this form, too; ours knows one form of everything.
            refuses(
                address(passkeys),
                abi.encodeCall(IPasskeys.recoverSapientSignatureCompact, (challenge, bytesOf(".abi"))),
                0
            );
        }
        for (uint256 i; go("invalid", i); ++i) {
            bytes memory data = abi.encodeCall(
                IPasskeys.recoverSapientSignatureCompact, (wordOf(".challenge"), bytesOf(".encoded"))
            );
            refuses(address(passkeys), data, 0);
        }
    }
}
