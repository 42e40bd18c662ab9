// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Format} from "../Format.sol";
import {Call, Decoded, IWallet} from "../IWallet.sol";
import {Clock, IRecovery} from "./IExtensions.sol";

contract RecoveryTest is Base {
    using Format for Decoded;

    Clock internal constant clock = Clock(address(vm));
    uint256 internal constant HEIR = 0x4e14;
    uint256 internal constant DELAY = 7 days;
    uint256 internal constant NOW = 1_800_000_000;

    IRecovery internal recovery;
    IWallet internal wallet;
    address internal heir;

    /// @dev The default tree: (nested(owner, 1), guard) and recovery with weight 2; threshold 2.
    function setUp() public override {
        super.setUp();
        clock.warp(NOW);
        recovery = IRecovery(deployed("Recovery"));
        heir = vm.addr(HEIR);
        wallet = IWallet(factory.deploy(stage1, image(leafHash(heir, DELAY, 0))));
        token.mint(address(wallet), 1000);
    }

    // ─── What the tests make ────────────────────────────────────────────────────────────────────────

    function deployed(string memory name) internal returns (address account) {
        bytes memory code = vm.getCode(string.concat("artifacts/", name, ".json"));
        (bool success, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), code));
        check(success, name);
        account = address(bytes20(answer));
    }

    function leaf(address signer, uint256 delay, uint256 earliest) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"01", signer, uint24(delay), uint64(earliest));
    }

    function leafHash(address signer, uint256 delay, uint256 earliest) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("Sequence recovery leaf:\n", signer, delay, earliest));
    }

    function image(bytes32 recoveryRoot) internal view returns (bytes32) {
        bytes32 signers = Format.pair(Format.nested(Format.signer(owner, 1), 1, 1), Format.signer(guard, 1));
        return Format.image(Format.pair(signers, Format.sapient(address(recovery), 2, recoveryRoot)), 2, 0, address(0));
    }

    /// @dev Shows the recovery leaf alone.
    function recoverySignature(bytes memory tree) internal view returns (bytes memory) {
        bytes32 signers = Format.pair(Format.nested(Format.signer(owner, 1), 1, 1), Format.signer(guard, 1));
        return abi.encodePacked(
            Format.head(2), hex"30", signers, hex"a6", address(recovery), uint8(tree.length), tree
        );
    }

    function ownerSignature(uint256 key, bytes32 hash) internal view returns (bytes memory) {
        bytes32 root = leafHash(heir, DELAY, 0);
        return abi.encodePacked(
            Format.head(2),
            Format.nestedItem(1, 1, signed(key, hash)),
            shown(guard),
            hex"30",
            Format.sapient(address(recovery), 2, root)
        );
    }

    function fullSignature(bytes32 hash) internal view returns (bytes memory) {
        bytes32 root = leafHash(heir, DELAY, 0);
        return abi.encodePacked(
            Format.head(2),
            Format.nestedItem(1, 1, signed(OWNER, hash)),
            signed(GUARD, hash),
            hex"30",
            Format.sapient(address(recovery), 2, root)
        );
    }

    function payload(uint256 space) internal view returns (Decoded memory) {
        return Format.calls(list(transfer(heir, 100)), space, 0);
    }

    function compactSign(uint256 key, bytes32 hash) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return Format.compact(v, r, s);
    }

    function queue(Decoded memory what) internal {
        recovery.queuePayload(
            address(wallet), heir, what, compactSign(HEIR, recovery.recoveryPayloadHash(address(wallet), what))
        );
    }

    function execute(Decoded memory what) internal {
        wallet.execute(what.pack(), recoverySignature(leaf(heir, DELAY, 0)));
    }

    function cancelByOwner() internal {
        bytes32 hash = hashOf(Format.digest(recovery.cancellationHash(address(wallet), heir)), wallet);
        recovery.cancelRecovery(address(wallet), heir, ownerSignature(OWNER, hash));
    }

    function refuses(Decoded memory what) internal {
        vm.expectRevert(
            abi.encodeWithSelector(IRecovery.QueueNotReady.selector, address(wallet), hashOf(what, wallet))
        );
        execute(what);
    }

    // ─── The way it is meant ────────────────────────────────────────────────────────────────────────

    function test_what_was_queued_is_executed_after_the_delay() external {
        queue(payload(1));
        clock.warp(NOW + DELAY);
        execute(payload(1));
        same(token.balanceOf(heir), 100, "not received");
    }

    /// @dev Owner and guard are lost, or hostile: the heir has the wallet, and they have it no more.
    function test_the_recovery_signer_rotates_the_signers() external {
        bytes32 next = singleImage(heir);
        Call memory rotation = call(address(wallet), abi.encodeCall(wallet.updateImageHash, (next)));
        Decoded memory what = Format.calls(list(rotation), 1, 0);
        queue(what);
        clock.warp(NOW + DELAY);
        execute(what);
        same(wallet.imageHash(), next, "configuration");
        bytes32 hash = hashOf(payload(2), wallet);
        bytes memory old = fullSignature(hash);
        vm.expectPartialRevert(IWallet.InvalidSignature.selector);
        wallet.execute(payload(2).pack(), old);
        wallet.execute(payload(2).pack(), signSingle(HEIR, hash));
        same(token.balanceOf(heir), 100, "not received");
    }

    function test_the_format_vectors() external {
        // Section 12 of the format: leaf (A, 100, 1600000000), and the tree of three trimmed to B.
        address a = 0x1111111111111111111111111111111111111111;
        address b = 0x2222222222222222222222222222222222222222;
        same(
            leafHash(a, 100, 1600000000),
            0x65e4e1834310f04f31c2d5a688b0d09693229564e8e8679a02bd98b148980a35,
            "leaf"
        );
        bytes memory trimmed = abi.encodePacked(
            hex"03",
            leafHash(a, 100, 1600000000),
            hex"04000041",
            leaf(b, 2592000, 0),
            hex"03",
            bytes32(0x82ea614f3ae607717cc62130d14cb45f9612fc550183eeca81b5ce0906d7bd12)
        );
        bytes32 digest = keccak256("anything");
        clockAndQueueFor(b, digest);
        same(
            recovery.recoverSapientSignatureCompact(digest, trimmed),
            0xd451503106aeacea18a5938dcb58f40a202addf8eb515b2d93483d7be4e547cb,
            "root"
        );
    }

    /// @dev As if `signer` had queued `digest` for this contract long enough ago.
    function clockAndQueueFor(address signer, bytes32 digest) internal {
        // timestampForQueuedPayload is the first slot.
        bytes32 slot = keccak256(abi.encode(address(this), uint256(0)));
        slot = keccak256(abi.encode(signer, slot));
        slot = keccak256(abi.encode(digest, slot));
        clock.store(address(recovery), slot, bytes32(NOW - 2592000));
        same(recovery.timestampForQueuedPayload(address(this), signer, digest), NOW - 2592000, "slot");
    }

    function test_a_contract_can_be_a_recovery_signer() external {
        // The single wallet recovers this one, with an ERC-1271 signature.
        bytes32 root = leafHash(address(single), DELAY, 0);
        wallet = IWallet(factory.deploy(stage1, image(root)));
        token.mint(address(wallet), 1000);
        Decoded memory what = payload(1);
        bytes32 asked = recovery.recoveryPayloadHash(address(wallet), what);
        bytes memory signature = signSingle(OWNER, hashOf(Format.digest(asked), single));
        recovery.queuePayload(address(wallet), address(single), what, signature);
        clock.warp(NOW + DELAY);
        wallet.execute(what.pack(), recoverySignature(leaf(address(single), DELAY, 0)));
        same(token.balanceOf(heir), 100, "not received");
    }

    // ─── Time ───────────────────────────────────────────────────────────────────────────────────────

    function test_one_second_early_is_refused() external {
        queue(payload(1));
        clock.warp(NOW + DELAY - 1);
        refuses(payload(1));
    }

    function test_what_waited_too_long_is_refused() external {
        queue(payload(1));
        clock.warp(NOW + DELAY + recovery.WINDOW());
        uint256 state = clock.snapshotState();
        execute(payload(1));
        clock.revertToState(state);
        clock.warp(NOW + DELAY + recovery.WINDOW() + 1);
        refuses(payload(1));
    }

    function test_what_was_queued_before_the_earliest_time_is_refused() external {
        bytes32 root = leafHash(heir, DELAY, NOW + 1);
        wallet = IWallet(factory.deploy(stage1, image(root)));
        queue(payload(1));
        clock.warp(NOW + 2 * DELAY);
        bytes memory tree = leaf(heir, DELAY, NOW + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IRecovery.QueueNotReady.selector, address(wallet), hashOf(payload(1), wallet))
        );
        wallet.execute(payload(1).pack(), recoverySignature(tree));
    }

    // ─── Queueing ───────────────────────────────────────────────────────────────────────────────────

    function test_a_stranger_queues_nothing() external {
        Decoded memory what = payload(1);
        bytes memory forged = compactSign(STRANGER, recovery.recoveryPayloadHash(address(wallet), what));
        vm.expectRevert(
            abi.encodeWithSelector(IRecovery.InvalidSignature.selector, address(wallet), heir, forged)
        );
        recovery.queuePayload(address(wallet), heir, what, forged);
    }

    function test_address_zero_queues_nothing() external {
        bytes memory garbage = new bytes(64);
        vm.expectRevert(
            abi.encodeWithSelector(IRecovery.InvalidSignature.selector, address(wallet), address(0), garbage)
        );
        recovery.queuePayload(address(wallet), address(0), payload(1), garbage);
    }

    function test_an_upper_half_s_queues_nothing() external {
        Decoded memory what = payload(1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(HEIR, recovery.recoveryPayloadHash(address(wallet), what));
        uint256 high = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - uint256(s);
        // Only where the upper half leaves the top bit free can the form express it at all.
        if (high >> 255 != 0) high &= type(uint256).max >> 1;
        bytes memory flipped = abi.encodePacked(r, high | (uint256(v == 27 ? 1 : 0) << 255));
        vm.expectPartialRevert(IRecovery.InvalidSignature.selector);
        recovery.queuePayload(address(wallet), heir, what, flipped);
    }

    function test_an_ordinary_signature_of_the_payload_queues_nothing() external {
        // The recovery domain is another one: what was signed to be executed cannot be queued.
        bytes memory ordinary = compactSign(HEIR, hashOf(payload(1), wallet));
        vm.expectPartialRevert(IRecovery.InvalidSignature.selector);
        recovery.queuePayload(address(wallet), heir, payload(1), ordinary);
    }

    function test_queueing_again_does_not_start_the_clock_again() external {
        queue(payload(1));
        clock.warp(NOW + 1 days);
        bytes memory again = compactSign(HEIR, recovery.recoveryPayloadHash(address(wallet), payload(1)));
        vm.expectPartialRevert(IRecovery.AlreadyQueued.selector);
        recovery.queuePayload(address(wallet), heir, payload(1), again);
    }

    function test_what_another_signer_queued_counts_for_nobody_else() external {
        Decoded memory what = payload(1);
        address stranger = vm.addr(STRANGER);
        recovery.queuePayload(
            address(wallet), stranger, what, compactSign(STRANGER, recovery.recoveryPayloadHash(address(wallet), what))
        );
        clock.warp(NOW + DELAY);
        refuses(what);
        // Nor does showing the stranger's own leaf: that is another tree.
        bytes memory signature = recoverySignature(leaf(stranger, DELAY, 0));
        vm.expectPartialRevert(IWallet.InvalidSignature.selector);
        wallet.execute(what.pack(), signature);
    }

    // ─── Cancelling ─────────────────────────────────────────────────────────────────────────────────

    function test_any_signer_of_the_wallet_cancels() external {
        queue(payload(1));
        cancelByOwner();
        clock.warp(NOW + DELAY);
        refuses(payload(1));
        // And what was cancelled cannot be queued again by who kept the signature.
        bytes memory again = compactSign(HEIR, recovery.recoveryPayloadHash(address(wallet), payload(1)));
        vm.expectPartialRevert(IRecovery.AlreadyQueued.selector);
        recovery.queuePayload(address(wallet), heir, payload(1), again);
    }

    /// @dev A device that was added by an update which no chain has seen.
    function test_a_signer_by_a_pending_update_cancels_alone() external {
        uint256 device = 0xde71ce;
        bytes32 recoveryNode = Format.sapient(address(recovery), 2, leafHash(heir, DELAY, 0));
        bytes32 owners = Format.pair(Format.signer(owner, 1), Format.signer(vm.addr(device), 1));
        bytes32 signers = Format.pair(Format.nested(owners, 1, 1), Format.signer(guard, 1));
        bytes32 next = Format.image(Format.pair(signers, recoveryNode), 2, 1, address(0));
        bytes32 agreed = Format.update(next).hash(address(wallet), 0);
        bytes memory older = abi.encodePacked(
            hex"0202", Format.nestedItem(1, 1, signed(OWNER, agreed)), signed(GUARD, agreed), hex"30", recoveryNode
        );
        queue(payload(1));
        bytes32 hash = hashOf(Format.digest(recovery.cancellationHash(address(wallet), heir)), wallet);
        bytes memory newer = abi.encodePacked(
            hex"040102",
            Format.nestedItem(1, 1, bytes.concat(shown(owner), signed(device, hash))),
            shown(guard),
            hex"30",
            recoveryNode
        );
        recovery.cancelRecovery(address(wallet), heir, bytes.concat(hex"01", Format.link(newer), Format.link(older)));
        clock.warp(NOW + DELAY);
        refuses(payload(1));
        // An update that the present signers did not agree to makes nobody a signer.
        hash = hashOf(Format.digest(recovery.cancellationHash(address(wallet), heir)), wallet);
        newer = abi.encodePacked(
            hex"040102",
            Format.nestedItem(1, 1, bytes.concat(shown(owner), signed(device, hash))),
            shown(guard),
            hex"30",
            recoveryNode
        );
        older = abi.encodePacked(
            hex"0202", Format.nestedItem(1, 1, signed(OWNER, agreed)), shown(guard), hex"30", recoveryNode
        );
        bytes memory forged = bytes.concat(hex"01", Format.link(newer), Format.link(older));
        vm.expectPartialRevert(IWallet.LowWeightChainedSignature.selector);
        recovery.cancelRecovery(address(wallet), heir, forged);
    }

    function test_the_wallets_own_cancellation_gives_lone_signers_their_say_back() external {
        for (uint256 i; i < recovery.LONE_CANCELLATIONS(); ++i) cancelByOwner();
        Decoded memory own = Format.calls(
            list(call(address(recovery), abi.encodeCall(recovery.cancelRecovery, (address(wallet), heir, "")))), 0, 0
        );
        wallet.execute(own.pack(), fullSignature(hashOf(own, wallet)));
        cancelByOwner();
    }

    function test_one_cancellation_voids_a_flood() external {
        for (uint256 space = 1; space <= 20; ++space) queue(payload(space));
        same(recovery.totalQueuedPayloads(address(wallet), heir), 20, "queued");
        cancelByOwner();
        clock.warp(NOW + DELAY);
        for (uint256 space = 1; space <= 20; ++space) refuses(payload(space));
    }

    function test_what_is_queued_later_is_not_cancelled() external {
        cancelByOwner();
        clock.warp(NOW + 1);
        queue(payload(1));
        clock.warp(NOW + 1 + DELAY);
        execute(payload(1));
    }

    function test_a_stranger_cancels_nothing() external {
        queue(payload(1));
        bytes32 hash = hashOf(Format.digest(recovery.cancellationHash(address(wallet), heir)), wallet);
        bytes memory forged = ownerSignature(STRANGER, hash);
        vm.expectRevert(abi.encodeWithSelector(IRecovery.NotASigner.selector, address(wallet)));
        recovery.cancelRecovery(address(wallet), heir, forged);
        // Showing the right tree and signing nothing is no signature.
        bytes memory unsigned = abi.encodePacked(
            Format.head(2), hex"30", Format.pair(
                Format.pair(Format.nested(Format.signer(owner, 1), 1, 1), Format.signer(guard, 1)),
                Format.sapient(address(recovery), 2, leafHash(heir, DELAY, 0))
            )
        );
        vm.expectRevert(abi.encodeWithSelector(IRecovery.NotASigner.selector, address(wallet)));
        recovery.cancelRecovery(address(wallet), heir, unsigned);
    }

    function test_a_cancellation_counts_once() external {
        bytes32 hash = hashOf(Format.digest(recovery.cancellationHash(address(wallet), heir)), wallet);
        bytes memory signature = ownerSignature(OWNER, hash);
        recovery.cancelRecovery(address(wallet), heir, signature);
        clock.warp(NOW + 1);
        queue(payload(1));
        vm.expectRevert(abi.encodeWithSelector(IRecovery.NotASigner.selector, address(wallet)));
        recovery.cancelRecovery(address(wallet), heir, signature);
    }

    function test_signers_below_the_threshold_cannot_cancel_for_ever() external {
        for (uint256 i; i < recovery.LONE_CANCELLATIONS(); ++i) cancelByOwner();
        bytes32 hash = hashOf(Format.digest(recovery.cancellationHash(address(wallet), heir)), wallet);
        bytes memory lone = ownerSignature(OWNER, hash);
        vm.expectRevert(
            abi.encodeWithSelector(IRecovery.TooManyLoneCancellations.selector, address(wallet), heir)
        );
        recovery.cancelRecovery(address(wallet), heir, lone);
        // All of them can, and after that one of them again.
        recovery.cancelRecovery(address(wallet), heir, fullSignature(hash));
        cancelByOwner();
    }

    function test_the_recovery_signer_and_the_wallet_need_no_signature() external {
        queue(payload(1));
        vm.prank(heir);
        recovery.cancelRecovery(address(wallet), heir, "");
        vm.prank(address(wallet));
        recovery.cancelRecovery(address(wallet), heir, "");
        clock.warp(NOW + DELAY);
        refuses(payload(1));
    }

    // ─── Trees ──────────────────────────────────────────────────────────────────────────────────────

    function test_malformed_trees_revert() external {
        bytes32 digest = keccak256("anything");
        bytes[6] memory trees = [
            bytes(""),
            hex"02",
            hex"0100",
            abi.encodePacked(hex"03", bytes32(0)),
            abi.encodePacked(hex"040000200f", leaf(heir, DELAY, 0)),
            abi.encodePacked(leaf(heir, DELAY, 0), hex"04000000")
        ];
        for (uint256 i; i < trees.length; ++i) {
            try recovery.recoverSapientSignatureCompact(digest, trees[i]) {
                check(false, "accepted");
            } catch (bytes memory error_) {
                check(bytes4(error_) != IRecovery.QueueNotReady.selector, "folded");
            }
        }
        vm.expectPartialRevert(IRecovery.ZeroSigner.selector);
        recovery.recoverSapientSignatureCompact(digest, leaf(address(0), DELAY, 0));
    }

    function testFuzz_no_other_tree_than_the_wallets_is_accepted(uint8 place, uint8 xor) external {
        vm.assume(xor != 0);
        queue(payload(1));
        clock.warp(NOW + DELAY);
        bytes memory tree = leaf(heir, DELAY, 0);
        uint256 index = place % tree.length;
        tree[index] = bytes1(uint8(tree[index]) ^ xor);
        bytes memory signature = recoverySignature(tree);
        vm.expectRevert();
        wallet.execute(payload(1).pack(), signature);
    }
}
