// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Wallet} from "./Wallet.sol";

/// @title Stage2
/// @notice The implementation of a wallet whose configuration was updated: the hash is in storage.
///
/// WARNING: a wallet that gets this implementation without a stored hash accepts no signature any more.
contract Stage2 is Wallet {
    constructor(address entryPointV07, address entryPointV08) Wallet(entryPointV07, entryPointV08) {}

    /// @notice Hash of the wallet's configuration.
    function imageHash() external view returns (bytes32) {
        return _readImageHash();
    }

    function _isValidImage(bytes32 candidate) internal view override returns (bool) {
        return candidate != 0 && candidate == _readImageHash();
    }
}
