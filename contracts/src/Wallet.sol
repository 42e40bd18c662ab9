// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Calls} from "./modules/Calls.sol";
import {Hooks} from "./modules/Hooks.sol";
import {Implementation} from "./modules/Implementation.sol";
import {StoredImage} from "./modules/StoredImage.sol";

/// @title Wallet
/// @notice What both stages of a wallet have in common.
abstract contract Wallet is Calls, Hooks, Implementation, StoredImage {}
