// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @notice What a checkpointer knows: the latest configuration, or nothing (image hash zero).
struct Snapshot {
    bytes32 imageHash;
    uint256 checkpoint;
}

/// @title ICheckpointer
/// @notice Knows the latest configuration of wallets, so that older ones are refused.
interface ICheckpointer {
    /// @notice The latest configuration of `wallet`, from `proof` or from storage.
    function snapshotFor(address wallet, bytes calldata proof) external view returns (Snapshot memory snapshot);
}
