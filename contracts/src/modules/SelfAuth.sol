// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title SelfAuth
/// @notice Functions that only the wallet may call on itself, by a payload that its signers approved.
///
/// WARNING: code that the wallet runs by delegate call or as a hook is the wallet, and may call them too.
abstract contract SelfAuth {
    /// @notice Somebody else called.
    error OnlySelf(address sender);

    /// @dev The wallet is its own administrator.
    modifier onlySelf() {
        if (msg.sender != address(this)) revert OnlySelf(msg.sender);
        _;
    }
}
