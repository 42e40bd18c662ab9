// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Storage} from "../lib/Storage.sol";
import {SelfAuth} from "./SelfAuth.sol";

/// @title Implementation
/// @notice The code a wallet proxy runs, in the slot numbered by the wallet's own address.
///
/// WARNING: a wrong implementation takes the wallet and everything in it.
abstract contract Implementation is SelfAuth {
    /// @notice There is no code at the new implementation.
    error ImplementationHasNoCode(address implementation);

    /// @notice The wallet runs other code from now on.
    event ImplementationUpdated(address newImplementation);

    /// @notice The code the wallet runs.
    function getImplementation() external view returns (address) {
        return address(uint160(uint256(Storage.read(_slot()))));
    }

    /// @notice Has the wallet run other code.
    function updateImplementation(address implementation) external payable onlySelf {
        _updateImplementation(implementation);
    }

    function _updateImplementation(address implementation) internal {
        if (implementation.code.length == 0) revert ImplementationHasNoCode(implementation);
        Storage.write(_slot(), bytes32(uint256(uint160(implementation))));
        emit ImplementationUpdated(implementation);
    }

    function _slot() private view returns (bytes32) {
        return bytes32(uint256(uint160(address(this))));
    }
}
