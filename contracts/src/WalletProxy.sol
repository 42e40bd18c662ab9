// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title WalletProxy
/// @notice The code of every wallet: 14 bytes that install, 33 bytes that stay.
/// @dev Installing: store the word behind the code (the implementation) in the slot numbered by the
/// wallet's address, return the runtime. Running: coin without data is accepted at once; everything else
/// is delegated to the implementation, and what it returns or reverts with is passed on.
///
/// WARNING: a wallet's address depends on each of these bytes.
library WalletProxy {
    bytes internal constant CREATION_CODE =
        hex"6041600e3d396021805130553df33d3d36153402601f57363d3d373d363d30545af43d82803e903d91601f57fd5bf3";

    /// @notice Hash of the init code of wallets that begin with `implementation`.
    function initCodeHash(address implementation) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(CREATION_CODE, uint256(uint160(implementation))));
    }
}
