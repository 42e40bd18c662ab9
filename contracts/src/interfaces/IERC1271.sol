// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title IERC1271
/// @notice Signatures by contracts.
interface IERC1271 {
    /// @notice Answers 0x1626ba7e if `signature` is valid for `hash`.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4 magic);
}
