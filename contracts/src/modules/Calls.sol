// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Payload} from "../lib/Payload.sol";
import {Auth} from "./Auth.sol";
import {Executor} from "./Executor.sol";
import {Nonces} from "./Nonces.sol";
import {ReentrancyLock} from "./ReentrancyLock.sol";
import {SelfAuth} from "./SelfAuth.sol";

/// @title Calls
/// @notice Runs calls that the wallet's signers approved. Anybody may bring them.
abstract contract Calls is Auth, Executor, Nonces, ReentrancyLock, SelfAuth {
    using Payload for Payload.Decoded;

    /// @notice Runs packed calls, once.
    /// @param packed The calls, with nonce space and nonce.
    /// @param signature A signature of the wallet's configuration over them.
    function execute(bytes calldata packed, bytes calldata signature) external payable locked {
        Payload.Decoded memory payload = Payload.fromPackedCalls(packed);
        _consumeNonce(payload.space, payload.nonce);
        (bool valid, bytes32 opHash) = _validate(payload, signature);
        if (!valid) revert InvalidSignature(payload, signature);
        _run(payload, opHash);
    }

    /// @notice Runs packed calls inside a batch; space and nonce are not used up.
    function selfExecute(bytes calldata packed) external payable onlySelf {
        Payload.Decoded memory payload = Payload.fromPackedCalls(packed);
        _run(payload, payload.hash());
    }
}
