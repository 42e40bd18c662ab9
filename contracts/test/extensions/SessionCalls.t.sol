// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Call, Decoded} from "../IWallet.sol";
import {ISessions} from "./IExtensions.sol";
import {SessionsBase} from "./SessionsBase.sol";

/// @notice What no session may do, and payloads that are none.
contract SessionCallsTest is SessionsBase {
    function test_a_session_cannot_act_as_the_wallet() external {
        Call memory c = work(0);
        c.delegateCall = true;
        Decoded memory payload = payloadOf(c);
        refuses(payload, explicitSignature(payload, flag(1)), ISessions.InvalidDelegateCall.selector);
        payload = payloadOf(call(address(wallet), abi.encodeCall(wallet.updateImageHash, (keccak256("mine")))));
        refuses(payload, explicitSignature(payload, flag(1)), ISessions.InvalidSelfCall.selector);
        c = work(0);
        c.behaviorOnError = 2;
        payload = payloadOf(c);
        refuses(payload, explicitSignature(payload, flag(1)), ISessions.InvalidBehavior.selector);
    }

    function test_a_payload_that_is_not_the_abis_form_is_refused() external {
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = everywhere(hashOf(payload, wallet));
        bytes memory good = abi.encodeCall(sessions.recoverSapientSignature, (payload, signature));
        same(answers(good, 0, 0), true, "good");
        // After the selector: two offsets, then the payload. Calls and parent wallets far away, or just behind the
        // end; booleans of two; the only call far away, its address too wide, its booleans of two, its data too long.
        uint256 words = 4 + 64;
        uint256 first = words + 9 * 32 + 64;
        same(answers(good, words + 32, 2), false, "noChainId");
        same(answers(good, words + 64, type(uint256).max), false, "calls before");
        same(answers(good, words + 64, good.length), false, "calls behind");
        same(answers(good, words + 256, type(uint256).max - 64), false, "parents before");
        same(answers(good, words + 256, good.length), false, "parents behind");
        same(answers(good, words + 9 * 32, type(uint256).max / 32 + 2), false, "count that wraps");
        same(answers(good, words + 9 * 32 + 32, good.length), false, "call behind");
        same(answers(good, words + 9 * 32 + 32, type(uint256).max - 63), false, "call before");
        same(answers(good, first, uint256(uint160(address(app))) | 1 << 160), false, "wide address");
        same(answers(good, first + 128, 2), false, "delegateCall");
        same(answers(good, first + 160, 2), false, "onlyFallback");
        same(answers(good, first + 64, good.length), false, "data behind");
        same(answers(good, first + 224, good.length), false, "data too long");
        same(answers(good, first + 224, type(uint256).max), false, "data that wraps");
    }

    /// @dev Whether the call still answers with one word of it replaced.
    function answers(bytes memory callData, uint256 place, uint256 word) internal returns (bool success) {
        callData = bytes.concat(callData);
        if (place != 0) {
            assembly {
                mstore(add(add(callData, 0x20), place), word)
            }
        }
        vm.prank(address(wallet));
        (success,) = address(sessions).staticcall(callData);
    }
}
