// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Payload} from "../lib/Payload.sol";

/// @title ISapient
/// @notice A signer that sees the payload and answers with the root of what validated it.
interface ISapient {
    /// @notice Validates `signature` over `payload` for the calling wallet.
    function recoverSapientSignature(Payload.Decoded calldata payload, bytes calldata signature)
        external
        view
        returns (bytes32 imageHash);
}

/// @title ISapientCompact
/// @notice A signer that sees only the payload's hash and answers with the root of what validated it.
interface ISapientCompact {
    /// @notice Validates `signature` over `digest` for the calling wallet.
    function recoverSapientSignatureCompact(bytes32 digest, bytes calldata signature)
        external
        view
        returns (bytes32 imageHash);
}
