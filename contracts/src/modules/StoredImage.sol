// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Storage} from "../lib/Storage.sol";
import {SelfAuth} from "./SelfAuth.sol";

/// @title StoredImage
/// @notice Changing the wallet's configuration by one hash.
///
/// WARNING: nothing tells whether anybody knows a configuration with that hash. A wrong one loses the wallet.
abstract contract StoredImage is SelfAuth {
    /// @notice No configuration has hash zero.
    error ImageHashIsZero();

    /// @notice The wallet has another configuration from now on.
    event ImageHashUpdated(bytes32 newImageHash);

    /// @dev keccak256("org.arcadeum.module.auth.upgradable.image.hash")
    bytes32 private constant IMAGE_HASH = 0xea7157fa25e3aa17d0ae2d5280fa4e24d421c61842aa85e45194e1145aa72bf8;

    /// @notice Changes the configuration.
    function updateImageHash(bytes32 newImageHash) external payable virtual onlySelf {
        _writeImageHash(newImageHash);
    }

    function _readImageHash() internal view returns (bytes32) {
        return Storage.read(IMAGE_HASH);
    }

    function _writeImageHash(bytes32 newImageHash) internal {
        if (newImageHash == 0) revert ImageHashIsZero();
        Storage.write(IMAGE_HASH, newImageHash);
        emit ImageHashUpdated(newImageHash);
    }
}
