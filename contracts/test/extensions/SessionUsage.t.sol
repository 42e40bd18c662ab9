// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Format} from "../Format.sol";
import {Call, Decoded} from "../IWallet.sol";
import {ISessions, Permission, UsageLimit} from "./IExtensions.sol";
import {SessionFormat} from "./SessionFormat.sol";
import {SessionsBase} from "./SessionsBase.sol";

/// @notice What has a limit is counted, and nothing uncounted has one.
contract SessionUsageTest is SessionsBase {
    function test_a_session_spends_within_its_limits() external {
        Decoded memory payload = spend(60, 60);
        execute(payload, explicitSignature(payload, flags2(0, 0)));
        payload = spend(40, 100);
        execute(payload, explicitSignature(payload, flags2(0, 0)));
        same(received(), 100, "not received");
        same(sessions.getLimitUsage(address(wallet), tokenUsage()), 100, "not counted");
    }

    function test_a_session_cannot_spend_more_than_its_limit_over_time() external {
        Decoded memory payload = spend(60, 60);
        execute(payload, explicitSignature(payload, flags2(0, 0)));
        payload = spend(41, 101);
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidPermission.selector);
    }

    function test_a_session_cannot_spend_more_than_its_limit_in_one_payload() external {
        Call[] memory calls = new Call[](3);
        calls[0] = increment(limit(tokenUsage(), 120));
        calls[1] = transfer(address(0x77), 60);
        calls[2] = transfer(address(0x77), 60);
        Decoded memory payload = Format.calls(calls, 0, 0);
        uint8[] memory flags = new uint8[](3);
        refuses(payload, explicitSignature(payload, flags), ISessions.InvalidPermission.selector);
    }

    function test_a_session_cannot_leave_out_or_misstate_what_it_uses() external {
        Decoded memory payload = payloadOf(transfer(address(0x77), 60));
        refuses(payload, explicitSignature(payload, flag(0)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = spend(60, 59);
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = spend(60, 61);
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = payloadOf(increment(limit(keccak256("other"), 60)), transfer(address(0x77), 60));
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_the_counting_must_be_sure_to_happen() external {
        Decoded memory payload = spend(60, 60);
        payload.calls[0].behaviorOnError = 0;
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = spend(60, 60);
        payload.calls[0].onlyFallback = true;
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
        // And where there is nothing to count, or later, there is no counting.
        payload = payloadOf(increment(new UsageLimit[](0)), work(0));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = payloadOf(transfer(address(0x77), 60), increment(limit(tokenUsage(), 60)));
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_coin_has_a_limit_over_time() external {
        Decoded memory payload =
            payloadOf(increment(limit(SessionFormat.valueUsage(session), 0.6 ether)), work(0.6 ether));
        execute(payload, explicitSignature(payload, flags2(0, 1)));
        same(address(app).balance, 0.6 ether, "not received");
        payload = payloadOf(increment(limit(SessionFormat.valueUsage(session), 1.1 ether)), work(0.5 ether));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidValue.selector);
    }

    function test_what_was_sent_before_need_not_be_repeated() external {
        bytes32 sent = SessionFormat.valueUsage(session);
        Decoded memory payload = payloadOf(increment(limit(sent, 1 ether)), work(1 ether));
        execute(payload, explicitSignature(payload, flags2(0, 1)));
        // Nothing is left to be sent, and this sends nothing.
        payload = payloadOf(work(0));
        execute(payload, explicitSignature(payload, flag(1)));
        // As the format has it, with the old total.
        payload = payloadOf(increment(limit(sent, 1 ether)), work(0));
        execute(payload, explicitSignature(payload, flags2(0, 1)));
        same(app.calls(), 3, "not called");
        same(sessions.getLimitUsage(address(wallet), sent), 1 ether, "not counted");
        // Once there is such a call it says the total, not less.
        payload = payloadOf(increment(new UsageLimit[](0)), work(0));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = payloadOf(increment(limit(sent, 0)), work(0));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_coin_is_never_sent_uncounted() external {
        bytes4 reason = ISessions.InvalidLimitUsageIncrement.selector;
        bytes32 sent = SessionFormat.valueUsage(session);
        Decoded memory payload = payloadOf(increment(limit(sent, 0.6 ether)), work(0.6 ether));
        execute(payload, explicitSignature(payload, flags2(0, 1)));
        // Below, at and above what is left, and what the limit is by itself.
        uint256[6] memory amounts = [uint256(1), 0.3 ether, 0.4 ether, 0.4 ether + 1, 1 ether, 1 ether + 1];
        for (uint256 i; i < amounts.length; ++i) {
            payload = payloadOf(work(amounts[i]));
            refuses(payload, explicitSignature(payload, flag(1)), reason);
            payload = payloadOf(work(0), work(amounts[i]));
            refuses(payload, explicitSignature(payload, flags2(1, 1)), reason);
            // Counted second, which is too late, and that alone.
            payload = payloadOf(work(amounts[i]), increment(limit(sent, 0.6 ether + amounts[i])));
            refuses(payload, explicitSignature(payload, flags2(1, 0)), reason);
            payload = payloadOf(work(0), increment(limit(sent, 0.6 ether)));
            refuses(payload, explicitSignature(payload, flags2(1, 0)), reason);
        }
        // Counted first, but only if something fails; and counting that may fail.
        payload = payloadOf(increment(limit(sent, 0.7 ether)), work(0.1 ether));
        payload.calls[0].onlyFallback = true;
        refuses(payload, explicitSignature(payload, flags2(0, 1)), reason);
        payload.calls[0].onlyFallback = false;
        payload.calls[0].behaviorOnError = 0;
        refuses(payload, explicitSignature(payload, flags2(0, 1)), reason);
        // A total that wraps to where it was.
        payload = payloadOf(increment(limit(sent, 0.6 ether)), work(type(uint256).max));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidValue.selector);
        same(address(app).balance, 0.6 ether, "sent");
    }

    function testFuzz_coin_is_never_sent_uncounted(uint256 amount, bool second) external {
        if (amount == 0) amount = 1;
        Decoded memory payload = second ? payloadOf(work(0), work(amount)) : payloadOf(work(amount), work(0));
        refuses(payload, explicitSignature(payload, flags2(1, 1)), ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_a_rule_about_a_total_is_never_used_uncounted() external {
        bytes4 reason = ISessions.InvalidLimitUsageIncrement.selector;
        uint256[4] memory amounts = [uint256(0), 99, 100, 101];
        for (uint256 i; i < amounts.length; ++i) {
            Decoded memory payload = payloadOf(transfer(address(0x77), amounts[i]));
            refuses(payload, explicitSignature(payload, flag(0)), reason);
            payload = payloadOf(work(0), transfer(address(0x77), amounts[i]));
            refuses(payload, explicitSignature(payload, flags2(1, 0)), reason);
        }
    }

    /// @dev A second session, of which nothing is counted because of the first, and the other way round.
    function test_of_two_sessions_each_is_counted() external {
        bytes4 reason = ISessions.InvalidLimitUsageIncrement.selector;
        uint256 other = 0x0709;
        Permission[] memory one = new Permission[](1);
        one[0] = appPermission();
        bytes memory otherLeaf = SessionFormat.permissions(vm.addr(other), 0, 1 ether, 0, one);
        bytes memory wire = bytes.concat(SessionFormat.identity(identitySigner), leaf(), otherLeaf);
        UsageLimit[] memory both = new UsageLimit[](2);
        both[0] = UsageLimit(SessionFormat.valueUsage(session), 2);
        both[1] = UsageLimit(SessionFormat.valueUsage(vm.addr(other)), 3);
        // What both have sent before.
        vm.prank(address(wallet));
        sessions.incrementUsageLimit(both);

        // One sends nothing, the other something, without counting.
        same(byTwo(wire, payloadOf(work(0), work(1)), other), reason);
        same(byTwo(wire, payloadOf(work(1), work(0)), other), reason);
        // Both send nothing.
        same(byTwo(wire, payloadOf(work(0), work(0)), other), 0);
        // Counted: all that both have ever sent, though one sends nothing.
        both[1].usageAmount = 4;
        same(byTwo(wire, payloadOf(increment(both), work(1)), other), 0);
        same(byTwo(wire, payloadOf(increment(limit(both[1].usageHash, 4)), work(1)), other), reason);
        same(byTwo(wire, payloadOf(increment(limit(both[0].usageHash, 3)), work(1)), other), reason);
        (both[0], both[1]) = (both[1], both[0]);
        same(byTwo(wire, payloadOf(increment(both), work(1)), other), reason);
    }

    /// @dev Why a payload is refused whose first call the session signed, and whose second the other; zero if it
    /// is not.
    function byTwo(bytes memory wire, Decoded memory payload, uint256 other) internal returns (bytes4) {
        bytes32 hash = hashOf(payload, wallet);
        uint8 first = payload.calls[0].to == address(app) ? 1 : 0;
        bytes memory signature = abi.encodePacked(sized(wire), hex"00", first);
        signature = bytes.concat(signature, sign64(SESSION, keccak256(abi.encode(hash, 0))));
        signature = abi.encodePacked(signature, uint8(0), sign64(other, keccak256(abi.encode(hash, 1))));
        vm.prank(address(wallet));
        try sessions.recoverSapientSignature(payload, signature) {
            return 0;
        } catch (bytes memory error_) {
            return bytes4(error_);
        }
    }

    function same(bytes4 actual, bytes4 expected) internal pure {
        check(actual == expected, "another reason");
    }

    /// @dev Implicit and explicit together: what comes without counting in front of it is not counted.
    function test_an_implicit_call_in_front_counts_nothing() external {
        Decoded memory payload = payloadOf(work(0), work(1));
        bytes32 hash = hashOf(payload, wallet);
        bytes memory signature = abi.encodePacked(
            sized(tree()), attested(IDENTITY), hex"80", sign64(IMPLICIT, keccak256(abi.encode(hash, 0)))
        );
        signature = abi.encodePacked(signature, uint8(1), sign64(SESSION, keccak256(abi.encode(hash, 1))));
        refuses(payload, signature, ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_counters_never_fall_and_are_each_wallets_own() external {
        sessions.incrementUsageLimit(limit(tokenUsage(), 7));
        same(sessions.getLimitUsage(address(this), tokenUsage()), 7, "own");
        same(sessions.getLimitUsage(address(wallet), tokenUsage()), 0, "another's");
        UsageLimit[] memory less = limit(tokenUsage(), 6);
        vm.expectPartialRevert(ISessions.InvalidLimitUsageIncrement.selector);
        sessions.incrementUsageLimit(less);
    }
}
