// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Reader} from "./Reader.sol";

/// @title RecoveryTree
/// @notice Folds the shown part of a recovery tree to its root.
/// @dev Items: 0x01 leaf (signer, delay of 3 bytes in seconds, earliest queueing of 8 bytes in Unix seconds),
/// 0x03 hash of what is not shown, 0x04 branch (length of 3 bytes, items).
///
/// WARNING: address zero is no signer, and nothing is read past the end; both revert.
library RecoveryTree {
    using Reader for bytes;

    /// @notice An item of no known kind.
    error InvalidSignatureFlag(uint256 flag);
    /// @notice Address zero cannot sign.
    error ZeroSigner();
    /// @notice An empty tree, one that begins with a branch, or a hash of zero.
    error MalformedTree();
    /// @notice Branches within branches without end.
    error TooDeep();

    uint256 private constant FLAG_LEAF = 0x01;
    uint256 private constant FLAG_NODE = 0x03;
    uint256 private constant FLAG_BRANCH = 0x04;
    uint256 private constant MAX_DEPTH = 64;

    /// @notice Folds `tree`; `any` says whether `accepts` accepted a leaf that is shown.
    /// @param accepts Judges signer, delay, earliest queueing, and `subject`.
    function fold(
        bytes calldata tree,
        function(address, uint256, uint256, bytes32) view returns (bool) accepts,
        bytes32 subject
    ) internal view returns (bool any, bytes32 root) {
        return _fold(tree, accepts, subject, 0);
    }

    function _fold(
        bytes calldata tree,
        function(address, uint256, uint256, bytes32) view returns (bool) accepts,
        bytes32 subject,
        uint256 depth
    ) private view returns (bool any, bytes32 root) {
        if (depth == MAX_DEPTH) revert TooDeep();
        uint256 cursor;
        while (cursor != tree.length) {
            uint256 flag;
            (flag, cursor) = tree.u8(cursor);
            bytes32 node;
            if (flag == FLAG_LEAF) {
                bool accepted;
                (accepted, node, cursor) = _leaf(tree, cursor, accepts, subject);
                any = any || accepted;
            } else if (flag == FLAG_NODE) {
                (node, cursor) = tree.word(cursor);
                if (node == 0) revert MalformedTree();
            } else if (flag == FLAG_BRANCH) {
                // The format hashes a branch that stands first with nothing on its left.
                if (root == 0) revert MalformedTree();
                bytes calldata branch;
                (branch, cursor) = tree.sized(cursor, 3);
                bool accepted;
                (accepted, node) = _fold(branch, accepts, subject, depth + 1);
                any = any || accepted;
            } else {
                revert InvalidSignatureFlag(flag);
            }
            root = root == 0 ? node : keccak256(abi.encodePacked(root, node));
        }
        if (root == 0) revert MalformedTree();
    }

    function _leaf(
        bytes calldata tree,
        uint256 cursor,
        function(address, uint256, uint256, bytes32) view returns (bool) accepts,
        bytes32 subject
    ) private view returns (bool accepted, bytes32 node, uint256 next) {
        address signer;
        uint256 delay;
        uint256 minTimestamp;
        (signer, cursor) = tree.account(cursor);
        (delay, cursor) = tree.number(cursor, 3);
        (minTimestamp, next) = tree.number(cursor, 8);
        if (signer == address(0)) revert ZeroSigner();
        node = keccak256(abi.encodePacked("Sequence recovery leaf:\n", signer, delay, minTimestamp));
        accepted = accepts(signer, delay, minTimestamp, subject);
    }
}
