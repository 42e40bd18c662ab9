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
    /// @dev The last 15 bytes of the creation code, which do not fit into one word with the others.
    bytes15 internal constant CREATION_CODE_BACK = hex"5af43d82803e903d91601f57fd5bf3";

    /// @notice Hash of the init code of wallets that begin with `implementation`.
    function initCodeHash(address implementation) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(CREATION_CODE, uint256(uint160(implementation))));
    }

    /// @notice Where a factory deploys the wallet with this first configuration.
    function walletAddress(address factory, bytes32 imageHash, bytes32 codeHash)
        internal
        pure
        returns (address wallet)
    {
        // Plain equivalent:
        //   wallet = address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), factory, imageHash, codeHash)))));
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, factory)
            mstore8(add(free, 0x0b), 0xff)
            mstore(add(free, 0x20), imageHash)
            mstore(add(free, 0x40), codeHash)
            wallet := shr(96, shl(96, keccak256(add(free, 0x0b), 0x55)))
        }
    }
}
