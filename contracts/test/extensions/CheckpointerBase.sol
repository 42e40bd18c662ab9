// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Format} from "../Format.sol";
import {Decoded, IWallet} from "../IWallet.sol";
import {Clock, ICheckpointerContract, IRecovery} from "./IExtensions.sol";

/// @notice A wallet whose configuration names a checkpointer and a recovery contract, and what its signers and the key
/// machine say.
abstract contract CheckpointerBase is Base {
    using Format for Decoded;

    Clock internal constant clock = Clock(address(vm));
    uint256 internal constant MACHINE = 0x3ac4;
    uint256 internal constant NEXT_OWNER = 0x2222;
    uint256 internal constant HEIR = 0x4e14;
    uint256 internal constant DELAY = 7 days;
    uint256 internal constant NOW = 1_800_000_000;

    ICheckpointerContract internal checkpointer;
    IRecovery internal recovery;
    IWallet internal wallet;
    address internal heir;

    /// @dev Checkpoint 1: the owner with weight 1, or recovery with weight 1. Checkpoint 2: the next owner.
    function setUp() public override {
        super.setUp();
        clock.warp(NOW);
        recovery = IRecovery(deployed("Recovery", ""));
        checkpointer = ICheckpointerContract(deployed("Checkpointer", abi.encode(vm.addr(MACHINE), address(recovery))));
        heir = vm.addr(HEIR);
        wallet = IWallet(factory.deploy(stage1, image(1)));
        token.mint(address(wallet), 1000);
    }

    // ─── What the tests make ────────────────────────────────────────────────────────────────────────

    function deployed(string memory name, bytes memory arguments) internal returns (address account) {
        bytes memory code = vm.getCode(string.concat("artifacts/", name, ".json"));
        (bool success, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), code, arguments));
        check(success, name);
        account = address(bytes20(answer));
    }

    function recoveryLeaf() internal view returns (bytes memory) {
        return abi.encodePacked(hex"01", heir, uint24(DELAY), uint64(0));
    }

    function recoveryNode() internal view returns (bytes32) {
        bytes32 root = keccak256(abi.encodePacked("Sequence recovery leaf:\n", heir, DELAY, uint256(0)));
        return Format.sapient(address(recovery), 1, root);
    }

    function keyOf(uint256 checkpoint) internal pure returns (uint256) {
        return checkpoint == 1 ? OWNER : NEXT_OWNER;
    }

    function image(uint256 checkpoint) internal view returns (bytes32) {
        bytes32 signers = Format.pair(Format.signer(vm.addr(keyOf(checkpoint)), 1), recoveryNode());
        return Format.image(signers, 1, checkpoint, address(checkpointer));
    }

    function sign64(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return Format.compact(v, r, s);
    }

    function proofAt(uint256 key, bytes32 imageHash, uint256 checkpoint, uint256 issued, uint256 expires)
        internal
        view
        returns (bytes memory)
    {
        bytes32 digest = checkpointer.attestationHash(address(wallet), imageHash, checkpoint, issued, expires);
        return abi.encodePacked(
            imageHash, uint56(checkpoint), uint64(issued), uint64(expires), sign64(key, digest)
        );
    }

    function proof(uint256 checkpoint) internal view returns (bytes memory) {
        return proofAt(MACHINE, image(checkpoint), checkpoint, block.timestamp, block.timestamp + 1 hours);
    }

    function withProof(bytes memory data) internal view returns (bytes memory) {
        return abi.encodePacked(address(checkpointer), uint24(data.length), data);
    }

    /// @dev By the owner of the first configuration.
    function first(bytes32 hash, bytes memory data) internal view returns (bytes memory) {
        return abi.encodePacked(hex"44", withProof(data), hex"0101", signed(OWNER, hash), hex"30", recoveryNode());
    }

    /// @dev By the owner of the second configuration, with the update that the first one's signed.
    function second(bytes32 hash, bytes memory data) internal view returns (bytes memory) {
        bytes32 update = Format.update(image(2)).hash(address(wallet), 0);
        bytes memory newest = abi.encodePacked(
            hex"44", address(checkpointer), hex"0201", signed(NEXT_OWNER, hash), hex"30", recoveryNode()
        );
        bytes memory oldest = abi.encodePacked(hex"060101", signed(OWNER, update), hex"30", recoveryNode());
        return abi.encodePacked(hex"41", withProof(data), Format.link(newest), Format.link(oldest));
    }

    /// @dev Shows the recovery leaf and no signature.
    function shownRecovery(bytes memory data) internal view returns (bytes memory) {
        bytes memory leaf = recoveryLeaf();
        return abi.encodePacked(
            hex"44",
            withProof(data),
            hex"010130",
            Format.signer(owner, 1),
            hex"a5",
            address(recovery),
            uint8(leaf.length),
            leaf
        );
    }

    function transferNow() internal view returns (Decoded memory) {
        return transferPayload(wallet);
    }

    function executeFirst(bytes memory data) internal {
        Decoded memory payload = transferNow();
        wallet.execute(payload.pack(), first(hashOf(payload, wallet), data));
    }

    function refusesFirst(bytes memory data, bytes4 selector) internal {
        Decoded memory payload = transferNow();
        bytes memory signature = first(hashOf(payload, wallet), data);
        vm.expectPartialRevert(selector);
        wallet.execute(payload.pack(), signature);
    }

    function distrustSignature(uint256 key) internal view returns (bytes memory) {
        bytes32 hash = hashOf(Format.digest(checkpointer.distrustHash(address(wallet))), wallet);
        return abi.encodePacked(hex"44", withProof(""), hex"0101", signed(key, hash), hex"30", recoveryNode());
    }
}
