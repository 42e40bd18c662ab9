// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Call, Decoded, IWallet} from "./IWallet.sol";
import {Extension, Target} from "./Mocks.sol";
import {Vm} from "./Vm.sol";

contract CallsTest is Base {
    using Format for Decoded;

    Target private target;

    function setUp() public override {
        super.setUp();
        target = new Target();
    }

    // ─── Executing ──────────────────────────────────────────────────────────────────────────────────

    function test_owner_and_guard_transfer_tokens() external {
        Decoded memory payload = transferPayload(guarded);
        guarded.execute(payload.pack(), signGuarded(hashOf(payload, guarded)));
        same(received(), 100, "received");
        same(guarded.readNonce(0), 1, "nonce");
    }

    function test_native_transfer() external {
        Call memory send = call(address(0x77), "");
        send.value = 1 ether;
        executeSingle(list(send));
        same(address(0x77).balance, 1 ether, "balance");
    }

    function test_value_sent_along_reaches_the_wallet() external {
        Decoded memory payload = transferPayload(single);
        vm.deal(address(this), 5);
        single.execute{value: 5}(payload.pack(), signSingle(OWNER, hashOf(payload, single)));
        same(address(single).balance, 10 ether + 5, "balance");
    }

    function test_wrong_signature() external {
        Decoded memory payload = transferPayload(single);
        bytes memory signature = signSingle(STRANGER, hashOf(payload, single));
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidSignature.selector, payload, signature));
        single.execute(payload.pack(), signature);
    }

    function test_guard_missing() external {
        Decoded memory payload = transferPayload(guarded);
        bytes memory owners = Format.nestedItem(1, 1, signed(OWNER, hashOf(payload, guarded)));
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidSignatureWeight.selector, 2, 1));
        guarded.execute(payload.pack(), bytes.concat(Format.head(2), owners, shown(guard)));
    }

    function test_signature_over_other_calls() external {
        Decoded memory approved = transferPayload(single);
        bytes memory signature = signSingle(OWNER, hashOf(approved, single));
        Decoded memory sent = Format.calls(list(transfer(address(0xbad), 100)), 0, 0);
        vm.expectPartialRevert(IWallet.InvalidSignature.selector);
        single.execute(sent.pack(), signature);
    }

    // ─── The compact form ───────────────────────────────────────────────────────────────────────────

    function compact(bytes memory packed, bytes memory signature) private returns (bool success, bytes memory out) {
        return address(single).call(
            abi.encodePacked(IWallet.executeCompact.selector, uint24(packed.length), packed, signature)
        );
    }

    function test_compact_calls_do_the_same() external {
        Decoded memory payload = transferPayload(single);
        (bool success,) = compact(payload.pack(), signSingle(OWNER, hashOf(payload, single)));
        check(success, "refused");
        same(received(), 100, "received");
        same(single.readNonce(0), 1, "nonce");
    }

    function test_compact_calls_are_checked_the_same() external {
        Decoded memory payload = transferPayload(single);
        bytes memory signature = signSingle(STRANGER, hashOf(payload, single));
        (bool success, bytes memory out) = compact(payload.pack(), signature);
        check(!success, "accepted");
        bytes memory error_ = abi.encodeWithSelector(IWallet.InvalidSignature.selector, payload, signature);
        same(keccak256(out), keccak256(error_), "error");
        signature = bytes.concat(signSingle(OWNER, hashOf(payload, single)), hex"00");
        (success, out) = compact(payload.pack(), signature);
        check(!success && bytes4(out) == IWallet.Truncated.selector, "trailing byte");
        (success, out) = compact(bytes.concat(payload.pack(), hex"00"), signature);
        check(!success && bytes4(out) == IWallet.InvalidPackedLength.selector, "trailing byte of the calls");
        same(single.readNonce(0), 0, "nonce");
    }

    function test_compact_calls_refuse_every_truncation() external {
        Decoded memory payload = transferPayload(single);
        bytes memory packed = payload.pack();
        bytes memory whole = abi.encodePacked(
            IWallet.executeCompact.selector,
            uint24(packed.length),
            packed,
            signSingle(OWNER, hashOf(payload, single))
        );
        for (uint256 length = 4; length < whole.length; ++length) {
            bytes memory part = new bytes(length);
            for (uint256 i; i < length; ++i) part[i] = whole[i];
            (bool success,) = address(single).call(part);
            check(!success, "accepted");
        }
        same(received(), 0, "received");
    }

    function test_compact_calls_cannot_enter_again() external {
        Decoded memory inner = Format.calls(list(transfer(address(0x77), 1)), 1, 0);
        bytes memory packed = inner.pack();
        bytes memory data = abi.encodePacked(
            IWallet.executeCompact.selector, uint24(packed.length), packed, signSingle(OWNER, hashOf(inner, single))
        );
        Decoded memory outer = Format.calls(list(call(address(single), data)), 0, 0);
        bytes memory why = abi.encodeWithSelector(IWallet.ReentrantCall.selector);
        bytes memory signature = signSingle(OWNER, hashOf(outer, single));
        vm.expectRevert(abi.encodeWithSelector(IWallet.Reverted.selector, outer, 0, why));
        single.execute(outer.pack(), signature);
    }

    // ─── Attacks ────────────────────────────────────────────────────────────────────────────────────

    /// @dev D32: anybody may bring a signature, but only with the calls it was made for, and once.
    function test_D32_who_brings_a_signature_first_changes_nothing() external {
        Decoded memory payload = transferPayload(single);
        bytes memory signature = signSingle(OWNER, hashOf(payload, single));
        vm.prank(address(0xbad));
        single.execute(payload.pack(), signature);
        same(received(), 100, "received");
        vm.expectRevert(abi.encodeWithSelector(IWallet.BadNonce.selector, 0, 0, 1));
        single.execute(payload.pack(), signature);
    }

    /// @dev D32: half a signature is worth nothing to who sees it before the other half was made.
    function test_D32_a_partial_signature_does_not_execute() external {
        Decoded memory payload = transferPayload(guarded);
        bytes memory half =
            bytes.concat(Format.head(2), Format.nestedItem(1, 1, signed(OWNER, hashOf(payload, guarded))), shown(guard));
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidSignatureWeight.selector, 2, 1));
        guarded.execute(payload.pack(), half);
    }

    /// @dev D33: calls signed for one wallet of the same keys are refused by another, and on another chain.
    function test_D33_calls_for_another_wallet_or_chain_are_refused() external {
        IWallet sibling = walletOf(Format.signer(owner, 2), 1);
        Decoded memory payload = transferPayload(single);
        bytes memory signature = signSingle(OWNER, hashOf(payload, single));
        bytes memory theirs = bytes.concat(signature);
        theirs[2] = 0x02;
        vm.expectPartialRevert(IWallet.InvalidSignature.selector);
        sibling.execute(payload.pack(), theirs);
        vm.chainId(10);
        vm.expectPartialRevert(IWallet.InvalidSignature.selector);
        single.execute(payload.pack(), signature);
        vm.chainId(1);
        single.execute(payload.pack(), signature);
    }

    /// @dev D33: signed without a chain it counts on all, and only when the signature says so.
    function test_D33_calls_for_every_chain_say_so() external {
        Decoded memory payload = transferPayload(single);
        bytes memory leaf = signed(OWNER, payload.hash(address(single), 0));
        vm.expectPartialRevert(IWallet.InvalidSignature.selector);
        single.execute(payload.pack(), bytes.concat(hex"0001", leaf));
        vm.chainId(10);
        single.execute(payload.pack(), bytes.concat(hex"0201", leaf));
        same(received(), 100, "received");
    }

    // ─── Nonces ─────────────────────────────────────────────────────────────────────────────────────

    function test_a_nonce_works_once() external {
        Decoded memory payload = transferPayload(single);
        bytes memory signature = signSingle(OWNER, hashOf(payload, single));
        single.execute(payload.pack(), signature);
        vm.expectRevert(abi.encodeWithSelector(IWallet.BadNonce.selector, 0, 0, 1));
        single.execute(payload.pack(), signature);
        same(received(), 100, "received");
    }

    function test_a_nonce_ahead_is_refused() external {
        Decoded memory payload = Format.calls(list(transfer(address(0x77), 1)), 3, 1);
        bytes memory signature = signSingle(OWNER, hashOf(payload, single));
        vm.expectRevert(abi.encodeWithSelector(IWallet.BadNonce.selector, 3, 1, 0));
        single.execute(payload.pack(), signature);
    }

    function test_spaces_are_independent() external {
        for (uint160 space; space < 3; ++space) {
            Decoded memory payload = Format.calls(list(transfer(address(0x77), 1)), space, 0);
            single.execute(payload.pack(), signSingle(OWNER, hashOf(payload, single)));
            same(single.readNonce(space), 1, "nonce");
        }
        same(received(), 3, "received");
    }

    function test_a_reverted_batch_keeps_its_nonce() external {
        Decoded memory payload = Format.calls(list(call(address(target), abi.encodeCall(target.fail, ()))), 0, 0);
        bytes memory why = abi.encodeWithSelector(Target.Refused.selector, 42);
        vm.expectRevert(abi.encodeWithSelector(IWallet.Reverted.selector, payload, 0, why));
        single.execute(payload.pack(), signSingle(OWNER, hashOf(payload, single)));
        same(single.readNonce(0), 0, "nonce");
    }

    // ─── Behaviours ─────────────────────────────────────────────────────────────────────────────────

    function failing(uint256 behavior) private view returns (Call memory only) {
        only = call(address(target), abi.encodeCall(target.fail, ()));
        only.behaviorOnError = behavior;
    }

    function working(bool onlyFallback) private view returns (Call memory only) {
        only = call(address(target), abi.encodeCall(target.work, ()));
        only.onlyFallback = onlyFallback;
    }

    function three(Call memory a, Call memory b, Call memory c) private pure returns (Call[] memory calls) {
        calls = new Call[](3);
        (calls[0], calls[1], calls[2]) = (a, b, c);
    }

    function test_an_ignored_failure_goes_on_and_starts_the_fallback() external {
        executeSingle(three(failing(0), working(true), working(true)));
        same(target.calls(), 1, "the second fallback was not needed");
    }

    function test_a_fallback_is_skipped_without_failure() external {
        executeSingle(three(working(false), working(true), working(false)));
        same(target.calls(), 2, "calls");
    }

    function test_an_aborting_failure_keeps_what_was_done() external {
        executeSingle(three(working(false), failing(2), working(false)));
        same(target.calls(), 1, "calls");
        same(single.readNonce(0), 1, "nonce");
    }

    function test_a_reverting_failure_undoes_everything() external {
        vm.expectPartialRevert(IWallet.Reverted.selector);
        this.executeAll(three(working(false), failing(1), working(false)));
        same(target.calls(), 0, "calls");
    }

    function executeAll(Call[] memory calls) external {
        executeSingle(calls);
    }

    function test_events_have_the_published_topics() external {
        Call[] memory calls = new Call[](4);
        (calls[0], calls[1], calls[2], calls[3]) = (working(false), working(true), failing(0), failing(2));
        bytes32 hash = hashOf(Format.calls(calls, 0, 0), single);
        vm.recordLogs();
        executeSingle(calls);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes4[5] memory heads = [bytes4(0x1f180c27), 0x5a589b1d, 0x9ae934bf, 0x115f347c, 0xc2c70430];
        bytes2[5] memory tails = [bytes2(0xf881), 0x661a, 0x9d8b, 0x6f0d, 0x129b];
        same(logs.length, 5, "events");
        for (uint256 i; i < 5; ++i) {
            check(bytes4(logs[i].topics[0]) == heads[i], "head of the topic");
            check(bytes2(logs[i].topics[0] << 240) == tails[i], "tail of the topic");
            if (i > 0) same(logs[i].topics[1], hash, "payload hash");
        }
    }

    // ─── Gas ────────────────────────────────────────────────────────────────────────────────────────

    function test_too_little_gas_for_a_limit_reverts_instead_of_failing_the_call() external {
        Call memory only = call(address(target), abi.encodeCall(target.burn, (100_000)));
        only.behaviorOnError = 0;
        only.gasLimit = 400_000;
        Decoded memory payload = Format.calls(list(only), 0, 0);
        bytes memory signature = signSingle(OWNER, hashOf(payload, single));
        vm.expectPartialRevert(IWallet.NotEnoughGas.selector);
        single.execute{gas: 400_000}(payload.pack(), signature);
        single.execute{gas: 700_000}(payload.pack(), signature);
        check(target.calls() > 0, "not called");
    }

    /// @dev A call gets at most 63/64 of what is left: there must be no amount of gas with which the batch
    /// succeeds while the call was given less than its limit.
    function test_no_amount_of_gas_starves_a_call_with_a_limit() external {
        Call memory only = call(address(target), abi.encodeCall(target.burn, (395_000)));
        only.behaviorOnError = 0;
        only.gasLimit = 400_000;
        Decoded memory payload = Format.calls(list(only), 0, 0);
        bytes memory signature = signSingle(OWNER, hashOf(payload, single));
        bytes memory data = abi.encodeCall(single.execute, (payload.pack(), signature));
        bool success;
        for (uint256 amount = 400_000; !success; amount += 500) {
            (success,) = address(single).call{gas: amount}(data);
        }
        check(target.calls() > 0, "the batch succeeded, the call did not");
    }

    function test_a_call_gets_no_more_than_its_limit() external {
        Call memory only = call(address(target), abi.encodeCall(target.burn, (100_000)));
        only.behaviorOnError = 0;
        only.gasLimit = 50_000;
        executeSingle(list(only));
        same(target.calls(), 0, "calls");
    }

    // ─── Code run as the wallet ─────────────────────────────────────────────────────────────────────

    function test_a_delegate_call_runs_as_the_wallet() external {
        Extension extension = new Extension();
        Call memory only = call(address(extension), "data");
        only.delegateCall = true;
        Decoded memory payload = Format.calls(list(only), 9, 0);
        bytes32 hash = hashOf(payload, single);
        vm.recordLogs();
        single.execute(payload.pack(), signSingle(OWNER, hash));
        Vm.Log memory log = vm.getRecordedLogs()[1];
        same(log.emitter, address(single), "emitter");
        same(keccak256(log.data), keccak256(abi.encode(address(single), hash, 0, 1, 9, bytes("data"))), "arguments");
    }

    // ─── Locks ──────────────────────────────────────────────────────────────────────────────────────

    function test_reentrancy_is_refused() external {
        Decoded memory inner = Format.calls(list(transfer(address(0x77), 1)), 1, 0);
        bytes memory signature = signSingle(OWNER, hashOf(inner, single));
        bytes memory data = abi.encodeCall(target.reenter, (single, inner.pack(), signature));
        executeSingle(list(call(address(target), data)));
        same(keccak256(target.lastError()), keccak256(abi.encodeWithSelector(IWallet.ReentrantCall.selector)), "error");
        same(received(), 0, "received");
        // The lock is open again, in the same transaction.
        single.execute(inner.pack(), signature);
        same(received(), 1, "received");
    }

    function test_batches_inside_batches() external {
        Decoded memory inner = Format.calls(list(transfer(address(0x77), 7)), 5, 55);
        executeSingle(list(call(address(single), abi.encodeCall(single.selfExecute, (inner.pack())))));
        same(received(), 7, "received");
        same(single.readNonce(5), 0, "the inner nonce is not used");
    }

    function test_nobody_else_runs_calls_without_signature() external {
        Decoded memory payload = transferPayload(single);
        vm.expectRevert(abi.encodeWithSelector(IWallet.OnlySelf.selector, address(this)));
        single.selfExecute(payload.pack());
    }
}
