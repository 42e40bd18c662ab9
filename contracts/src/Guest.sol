// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Payload} from "./lib/Payload.sol";
import {Executor} from "./modules/Executor.sol";

/// @title Guest
/// @notice Makes calls for anybody in one transaction: deploying a wallet and executing with it, say.
/// @dev The whole calldata is packed calls; there is no selector, no signature, and the nonce is ignored.
///
/// WARNING: whatever is left in it, or approved to it, is anyone's.
contract Guest is Executor {
    using Payload for Payload.Decoded;

    /// @notice Code cannot run as the guest.
    error DelegateCallNotAllowed(uint256 index);

    /// @notice Runs packed calls.
    fallback() external payable {
        Payload.Decoded memory payload = Payload.fromPackedCalls(msg.data);
        for (uint256 i; i < payload.calls.length; ++i) {
            if (payload.calls[i].delegateCall) revert DelegateCallNotAllowed(i);
        }
        _run(payload, payload.hash());
    }
}
