// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {StoredImage} from "./modules/StoredImage.sol";
import {Wallet} from "./Wallet.sol";
import {WalletProxy} from "./WalletProxy.sol";

/// @title Stage1
/// @notice The implementation a wallet begins with: its address is the proof of its configuration, so it
/// needs no storage before the first update.
///
/// WARNING: its own address is part of every wallet's address.
contract Stage1 is Wallet {
    /// @notice A contract this one depends on is not there yet.
    error DependencyHasNoCode(address dependency);

    /// @notice The factory that deploys wallets.
    address public immutable FACTORY;
    /// @notice Hash of the wallets' init code.
    bytes32 public immutable INIT_CODE_HASH;
    /// @notice The implementation after the first update.
    address public immutable STAGE_2_IMPLEMENTATION;

    constructor(address factory, address stage2, address entryPointV07, address entryPointV08)
        Wallet(entryPointV07, entryPointV08)
    {
        if (factory.code.length == 0) revert DependencyHasNoCode(factory);
        if (stage2.code.length == 0) revert DependencyHasNoCode(stage2);
        FACTORY = factory;
        INIT_CODE_HASH = WalletProxy.initCodeHash(address(this));
        STAGE_2_IMPLEMENTATION = stage2;
    }

    /// @inheritdoc StoredImage
    /// @dev Also moves on to stage 2, which reads the configuration from storage.
    function updateImageHash(bytes32 newImageHash) external payable override onlySelf {
        _writeImageHash(newImageHash);
        _updateImplementation(STAGE_2_IMPLEMENTATION);
    }

    function _isValidImage(bytes32 imageHash) internal view override returns (bool) {
        return WalletProxy.walletAddress(FACTORY, imageHash, INIT_CODE_HASH) == address(this);
    }
}
