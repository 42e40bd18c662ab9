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
        bytes32 front = bytes32(WalletProxy.CREATION_CODE);
        bytes32 back = WalletProxy.CREATION_CODE_BACK;
        // Plain equivalent: the wallet from the init code `abi.encodePacked(WalletProxy.CREATION_CODE,
        // uint256(uint160(mainModule)))`; but Solidity can only create contracts it compiled itself.
        assembly ("memory-safe") {
            let code := mload(0x40)
            mstore(code, front)
            mstore(add(code, 0x20), back)
            mstore(add(code, 0x2f), shr(96, shl(96, mainModule)))
            wallet := create2(callvalue(), code, 0x4f, salt)
        }
        if (wallet == address(0)) revert DeployFailed(mainModule, salt);
    }
}
