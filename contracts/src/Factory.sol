// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {WalletProxy} from "./WalletProxy.sol";

/// @title Factory
/// @notice Deploys wallets at addresses that follow from their first configuration.
///
/// WARNING: anybody may deploy any wallet; that gives no power over it.
contract Factory {
    /// @notice The wallet exists already, or there is too little gas.
    error DeployFailed(address mainModule, bytes32 salt);

    /// @notice Deploys a wallet and passes on the coin sent along.
    /// @param mainModule The implementation it begins with.
    /// @param salt Image hash of its first configuration.
    function deploy(address mainModule, bytes32 salt) external payable returns (address wallet) {
        bytes memory code = abi.encodePacked(WalletProxy.CREATION_CODE, uint256(uint160(mainModule)));
        // Solidity can only create contracts it compiled itself.
        assembly ("memory-safe") {
            wallet := create2(callvalue(), add(code, 0x20), mload(code), salt)
        }
        if (wallet == address(0)) revert DeployFailed(mainModule, salt);
    }
}
