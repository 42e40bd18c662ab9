// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @notice An operation as the entry points v0.7 and v0.8 pass it on.
struct PackedUserOperation {
    address sender;
    uint256 nonce;
    bytes initCode;
    bytes callData;
    bytes32 accountGasLimits;
    uint256 preVerificationGas;
    bytes32 gasFees;
    bytes paymasterAndData;
    bytes signature;
}

/// @title IEntryPoint
/// @notice The part of an ERC-4337 entry point that a wallet calls.
interface IEntryPoint {
    /// @notice Adds the coin sent along to an account's deposit.
    function depositTo(address account) external payable;
}
