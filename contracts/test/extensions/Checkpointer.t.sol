// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Format} from "../Format.sol";
import {Decoded, IWallet} from "../IWallet.sol";
import {CheckpointerBase} from "./CheckpointerBase.sol";
import {ICheckpointerContract, IRecovery} from "./IExtensions.sol";

contract CheckpointerTest is CheckpointerBase {
    using Format for Decoded;

    // ─── The latest configuration ───────────────────────────────────────────────────────────────────

    function test_the_latest_configuration_is_accepted() external {
        executeFirst(proof(1));
        Decoded memory payload = transferNow();
        wallet.execute(payload.pack(), second(hashOf(payload, wallet), proof(2)));
        same(received(), 200, "not received");
    }

    function test_a_stale_configuration_is_refused() external {
        refusesFirst(proof(2), IWallet.UnusedSnapshot.selector);
    }

    function test_a_stale_configuration_is_refused_on_another_chain_too() external {
        vm.chainId(10);
        refusesFirst(proof(2), IWallet.UnusedSnapshot.selector);
        executeFirst(proof(1));
    }

    function test_without_a_proof_nothing_is_accepted() external {
        refusesFirst("", IWallet.Truncated.selector);
    }

    function test_a_word_that_is_not_the_key_machines_is_refused() external {
        uint256 time = block.timestamp;
        refusesFirst(
            proofAt(STRANGER, image(1), 1, time, time + 1 hours),
            ICheckpointerContract.InvalidAttestation.selector
        );
        bytes memory altered = proof(1);
        altered[38] = 0x00;
        refusesFirst(altered, ICheckpointerContract.InvalidAttestation.selector);
        refusesFirst(bytes.concat(proof(1), hex"00"), ICheckpointerContract.InvalidAttestation.selector);
        // About no configuration: that would silence the checkpointer.
        refusesFirst(
            proofAt(MACHINE, 0, 1, time, time + 1 hours), ICheckpointerContract.InvalidAttestation.selector
        );
        // About another wallet.
        IWallet ours = wallet;
        wallet = single;
        bytes memory foreign = proof(1);
        wallet = ours;
        refusesFirst(foreign, ICheckpointerContract.InvalidAttestation.selector);
    }

    function test_a_proof_out_of_time_is_refused() external {
        uint256 time = block.timestamp;
        bytes4 late = ICheckpointerContract.AttestationOutOfTime.selector;
        refusesFirst(proofAt(MACHINE, image(1), 1, time - 2 hours, time - 1), late);
        uint256 skew = checkpointer.CLOCK_SKEW();
        refusesFirst(proofAt(MACHINE, image(1), 1, time + skew + 1, time + 1 hours), late);
        uint256 life = checkpointer.MAX_LIFETIME();
        refusesFirst(proofAt(MACHINE, image(1), 1, time, time + life + 1), late);
        refusesFirst(proofAt(MACHINE, image(1), 1, time + 2, time + 1), late);
        executeFirst(proofAt(MACHINE, image(1), 1, time + skew, time + life));
    }

    // ─── It cannot freeze a wallet ──────────────────────────────────────────────────────────────────

    function test_distrust_by_a_signer_works_against_a_hostile_key_machine() external {
        // It gives no word, or a false one: nothing moves.
        refusesFirst("", IWallet.Truncated.selector);
        bytes memory lie = proofAt(MACHINE, keccak256("lie"), 2 ** 56 - 1, NOW, NOW + 1 days);
        refusesFirst(lie, IWallet.UnusedSnapshot.selector);

        checkpointer.distrust(address(wallet), distrustSignature(OWNER));
        uint256 from = NOW + checkpointer.DISTRUST_DELAY();
        clock.warp(from - 1);
        refusesFirst("", IWallet.Truncated.selector);
        clock.warp(from);
        executeFirst("");
        executeFirst(lie);
        same(received(), 200, "not received");
    }

    function test_distrust_by_a_recovery_signer_works_against_a_hostile_key_machine() external {
        Decoded memory payload = transferNow();
        recovery.queuePayload(
            address(wallet), heir, payload, sign64(HEIR, recovery.recoveryPayloadHash(address(wallet), payload))
        );
        bytes memory approval = sign64(HEIR, checkpointer.distrustHash(address(wallet)));
        checkpointer.distrustByRecovery(address(wallet), address(recovery), heir, shownRecovery(""), approval);
        clock.warp(NOW + DELAY);
        wallet.execute(payload.pack(), shownRecovery(""));
        same(received(), 100, "not received");
    }

    // ─── Nor keep its signers from cancelling ───────────────────────────────────────────────────────

    function cancellation(uint256 key) internal view returns (bytes memory) {
        bytes32 digest = recovery.cancellationHash(address(wallet), heir);
        return abi.encodePacked(
            hex"44", withProof(""), hex"0101", signed(key, hashOf(Format.digest(digest), wallet)), hex"30", recoveryNode()
        );
    }

    function queued() internal returns (Decoded memory payload) {
        payload = transferNow();
        recovery.queuePayload(
            address(wallet), heir, payload, sign64(HEIR, recovery.recoveryPayloadHash(address(wallet), payload))
        );
    }

    function test_a_recovery_is_cancelled_without_the_key_machine() external {
        Decoded memory payload = queued();
        bytes memory signature = cancellation(OWNER);
        vm.expectPartialRevert(IWallet.Truncated.selector);
        recovery.cancelRecovery(address(wallet), heir, signature);
        checkpointer.cancelRecovery(address(wallet), heir, signature);
        clock.warp(NOW + DELAY);
        bytes memory shown = shownRecovery(proof(1));
        vm.expectPartialRevert(IRecovery.QueueNotReady.selector);
        wallet.execute(payload.pack(), shown);
        // Afterwards the key machine has its say again.
        refusesFirst("", IWallet.Truncated.selector);
    }

    function test_a_stranger_cancels_nothing_by_the_checkpointer() external {
        queued();
        bytes memory forged = cancellation(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(IRecovery.NotASigner.selector, address(wallet)));
        checkpointer.cancelRecovery(address(wallet), heir, forged);
        bytes memory signature = cancellation(OWNER);
        checkpointer.cancelRecovery(address(wallet), heir, signature);
        vm.expectRevert(abi.encodeWithSelector(IRecovery.NotASigner.selector, address(wallet)));
        checkpointer.cancelRecovery(address(wallet), heir, signature);
    }

    function test_the_checkpointer_names_a_recovery_contract_that_is_there() external {
        same(checkpointer.RECOVERY(), address(recovery), "another");
        bytes memory code = bytes.concat(
            vm.getCode("artifacts/Checkpointer.json"), abi.encode(vm.addr(MACHINE), address(0x1234))
        );
        (bool success,) = DEPLOYER.call(bytes.concat(bytes32(0), code));
        check(!success, "deployed");
    }

    function test_a_stranger_distrusts_nothing() external {
        bytes memory forged = distrustSignature(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(ICheckpointerContract.NotASigner.selector, address(wallet)));
        checkpointer.distrust(address(wallet), forged);
        // Showing the recovery leaf proves that it is there, not that its signer asks.
        bytes memory leaf = shownRecovery("");
        vm.expectRevert(abi.encodeWithSelector(ICheckpointerContract.NotSignedByRecoverySigner.selector, heir));
        checkpointer.distrustByRecovery(
            address(wallet), address(recovery), heir, leaf, sign64(STRANGER, keccak256("anything"))
        );
        // Nor is anybody else the signer of that leaf, or of a recovery contract of their own.
        address stranger = vm.addr(STRANGER);
        vm.prank(stranger);
        vm.expectPartialRevert(IRecovery.QueueNotReady.selector);
        checkpointer.distrustByRecovery(address(wallet), address(recovery), stranger, leaf, "");
        vm.prank(stranger);
        vm.expectPartialRevert(IRecovery.QueueNotReady.selector);
        checkpointer.distrustByRecovery(address(wallet), stranger, stranger, leaf, "");
    }

    function test_a_membership_proof_approves_nothing_else() external {
        // The one digest that passes for a shown leaf is bound to the recovery contract, wallet and signer.
        vm.expectPartialRevert(IRecovery.QueueNotReady.selector);
        recovery.recoverSapientSignatureCompact(keccak256("anything"), recoveryLeaf());
        Decoded memory payload = transferNow();
        bytes memory signature = shownRecovery(proof(1));
        vm.expectPartialRevert(IRecovery.QueueNotReady.selector);
        wallet.execute(payload.pack(), signature);
    }

    function test_a_distrust_counts_once_and_the_wallet_can_trust_again() external {
        bytes memory signature = distrustSignature(OWNER);
        checkpointer.distrust(address(wallet), signature);
        Decoded memory payload =
            Format.calls(list(call(address(checkpointer), abi.encodeCall(checkpointer.trust, ()))), 0, 0);
        wallet.execute(payload.pack(), first(hashOf(payload, wallet), proof(1)));
        same(checkpointer.silentFrom(address(wallet)), 0, "still distrusted");
        vm.expectRevert(abi.encodeWithSelector(ICheckpointerContract.NotASigner.selector, address(wallet)));
        checkpointer.distrust(address(wallet), signature);
        clock.warp(NOW + checkpointer.DISTRUST_DELAY());
        refusesFirst(proof(2), IWallet.UnusedSnapshot.selector);
    }

    function test_a_distrust_that_was_held_back_is_void_once_the_wallet_trusts() external {
        checkpointer.distrust(address(wallet), distrustSignature(OWNER));
        bytes memory heldBack = distrustSignature(OWNER);
        Decoded memory payload =
            Format.calls(list(call(address(checkpointer), abi.encodeCall(checkpointer.trust, ()))), 0, 0);
        wallet.execute(payload.pack(), first(hashOf(payload, wallet), proof(1)));
        vm.expectRevert(abi.encodeWithSelector(ICheckpointerContract.NotASigner.selector, address(wallet)));
        checkpointer.distrust(address(wallet), heldBack);
    }

    function test_distrusting_again_does_not_start_the_delay_again() external {
        checkpointer.distrust(address(wallet), distrustSignature(OWNER));
        uint256 from = checkpointer.silentFrom(address(wallet));
        clock.warp(NOW + 1 days);
        checkpointer.distrust(address(wallet), distrustSignature(OWNER));
        same(checkpointer.silentFrom(address(wallet)), from, "moved");
    }

    function test_only_the_wallet_trusts_for_itself() external {
        checkpointer.distrust(address(wallet), distrustSignature(OWNER));
        checkpointer.trust();
        check(checkpointer.silentFrom(address(wallet)) != 0, "a stranger trusts for the wallet");
    }

    // ─── The key machine's key ──────────────────────────────────────────────────────────────────────

    function rotation(uint256 key, address next) internal view returns (bytes memory) {
        bytes32 domainType = keccak256("EIP712Domain(string name,string version,address verifyingContract)");
        bytes32 domain = keccak256(
            abi.encode(domainType, keccak256("Keyfold Checkpointer"), keccak256("1"), address(checkpointer))
        );
        bytes32 structType = keccak256("Rotation(address next,uint256 number)");
        bytes32 struct_ = keccak256(abi.encode(structType, next, checkpointer.rotations()));
        return sign64(key, keccak256(abi.encodePacked(hex"1901", domain, struct_)));
    }

    function test_the_key_names_the_next() external {
        address next = vm.addr(STRANGER);
        bytes memory signature = rotation(MACHINE, next);
        checkpointer.rotate(next, signature);
        same(checkpointer.key(), next, "key");
        refusesFirst(proof(1), ICheckpointerContract.InvalidAttestation.selector);
        executeFirst(proofAt(STRANGER, image(1), 1, NOW, NOW + 1 hours));
        // Neither the old key nor its old word counts any more.
        vm.expectPartialRevert(ICheckpointerContract.InvalidRotation.selector);
        checkpointer.rotate(next, signature);
        bytes memory old = rotation(MACHINE, vm.addr(MACHINE));
        vm.expectPartialRevert(ICheckpointerContract.InvalidRotation.selector);
        checkpointer.rotate(vm.addr(MACHINE), old);
        bytes memory zero = rotation(STRANGER, address(0));
        vm.expectPartialRevert(ICheckpointerContract.InvalidRotation.selector);
        checkpointer.rotate(address(0), zero);
    }

    function test_a_rotation_counts_once() external {
        address other = vm.addr(STRANGER);
        bytes memory there = rotation(MACHINE, other);
        checkpointer.rotate(other, there);
        checkpointer.rotate(vm.addr(MACHINE), rotation(STRANGER, vm.addr(MACHINE)));
        vm.expectPartialRevert(ICheckpointerContract.InvalidRotation.selector);
        checkpointer.rotate(other, there);
    }

    // ─── Any word ───────────────────────────────────────────────────────────────────────────────────

    /// @dev Of the key machine's word no bit may be another.
    function testFuzz_an_altered_word_is_refused(uint8 place, uint8 xor) external {
        bytes memory data = proof(1);
        if (xor == 0) xor = 1;
        data[place % data.length] ^= bytes1(xor);
        Decoded memory payload = transferNow();
        bytes memory signature = first(hashOf(payload, wallet), data);
        vm.expectRevert();
        wallet.execute(payload.pack(), signature);
    }

    function testFuzz_a_word_counts_within_its_time_only(uint256 issued, uint256 expires, uint256 time) external {
        (issued, expires, time) = (NOW + issued % 2 days, NOW + expires % 2 days, NOW + time % 2 days);
        clock.warp(time);
        bool good = issued <= time + checkpointer.CLOCK_SKEW() && expires >= time && issued <= expires
            && expires <= issued + checkpointer.MAX_LIFETIME();
        bytes memory data = proofAt(MACHINE, image(1), 1, issued, expires);
        try checkpointer.snapshotFor(address(wallet), data) {
            check(good, "accepted");
        } catch {
            check(!good, "refused");
        }
    }
}
