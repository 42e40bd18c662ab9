// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Payload} from "./lib/Payload.sol";
import {Executor} from "./modules/Executor.sol";

/// @title Guest
/// @notice Makes calls for anybody in one transaction: deploying a wallet and executing with it, say.
/// @dev The whole calldata is packed calls; there is no selector, no signature, and the nonce is ignored. Events
/// tell of failures only.
///
/// WARNING: whatever is left in it, or approved to it, is anyone's.
contract Guest is Executor {
    /// @notice Runs packed calls.
    fallback() external payable {
        (Payload.Decoded memory payload, bytes32 body) = Payload.fromPackedCalls(msg.data);
        _run(payload, Payload.hashOf(body, false, address(this)));
    }

    /// @inheritdoc Executor
    function _allowsDelegateCalls() internal pure override returns (bool) {
        return false;
    }

    /// @inheritdoc Executor
    /// @dev What the calls did is in the events of those who were called; the guest's own prove nothing, since
    /// anybody can have it emit them, and cost more than the rest of it.
    function _reportsSuccess() internal pure override returns (bool) {
        return false;
    }
}
