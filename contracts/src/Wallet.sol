// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Erc4337} from "./modules/Erc4337.sol";
import {Hooks} from "./modules/Hooks.sol";
import {Implementation} from "./modules/Implementation.sol";
import {StoredImage} from "./modules/StoredImage.sol";

/// @title Wallet
/// @notice What both stages of a wallet have in common.
///
/// WARNING: a wallet is administered by nobody but itself: there is no way to take back what it approved.
abstract contract Wallet is Erc4337, Hooks, Implementation, StoredImage {
    /// @param entryPointV07 ERC-4337 entry point v0.7, or zero.
    /// @param entryPointV08 ERC-4337 entry point v0.8, or zero.
    constructor(address entryPointV07, address entryPointV08) Erc4337(entryPointV07, entryPointV08) {}
}
