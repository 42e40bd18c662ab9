// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Payload} from "../lib/Payload.sol";
import {Reader} from "../lib/Reader.sol";
import {Auth} from "./Auth.sol";
import {Executor} from "./Executor.sol";
import {Nonces} from "./Nonces.sol";
import {ReentrancyLock} from "./ReentrancyLock.sol";

/// @title Calls
/// @notice Runs calls that the wallet's signers approved. Anybody may bring them.
///
/// WARNING: who brings them chooses time, gas and the coin sent along, and sees them before they count.
abstract contract Calls is Auth, Executor, Nonces, ReentrancyLock {
    using Payload for Payload.Decoded;

    /// @notice Runs packed calls, once.
    /// @param packed The calls, with nonce space and nonce.
    /// @param signature A signature of the wallet's configuration over them.
    function execute(bytes calldata packed, bytes calldata signature) external payable locked {
        _execute(packed, signature);
    }

    /// @notice Runs packed calls, once: `execute` without the padding of the ABI, for chains where calldata is
    /// what costs. After the selector: the length of the packed calls (3 bytes), the packed calls, and the
    /// signature up to the end of the calldata.
    /// @dev The arguments are not declared, so that calldata is free of their heads and padding.
    function executeCompact() external payable locked {
        (uint256 cursor, uint256 end) = Reader.bounds(msg.data);
        unchecked {
            // The selector has been read.
            cursor += 4;
        }
        uint256 length;
        (length, cursor) = Reader.numberAt(cursor, end, 3);
        unchecked {
            if (length > end - cursor) revert Reader.Truncated();
            _execute(Reader.slice(cursor, length), Reader.slice(cursor + length, end - cursor - length));
        }
    }

    function _execute(bytes calldata packed, bytes calldata signature) private {
        (Payload.Decoded memory payload, bytes32 body) = Payload.fromPackedCalls(packed);
        _consumeNonce(payload.space, payload.nonce);
        (bool valid, bytes32 opHash) = _validate(payload, body, signature);
        if (!valid) revert InvalidSignature(payload, signature);
        _run(payload, opHash);
    }

    /// @notice Runs packed calls inside a batch; space and nonce are not used up.
    function selfExecute(bytes calldata packed) external payable onlySelf {
        (Payload.Decoded memory payload, bytes32 body) = Payload.fromPackedCalls(packed);
        _run(payload, Payload.hashOf(body, false, address(this)));
    }
}
