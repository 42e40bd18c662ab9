// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Reader} from "./Reader.sol";

/// @title SessionTree
/// @notice Folds the shown part of a session tree to its root and finds what it shows.
/// @dev Items by their high four bits: 0 permissions of a session key, 1 hash of what is not shown, 2 branch,
/// 3 deny-list for implicit sessions, 4 identity signer.
///
/// WARNING: exactly one identity signer and at most one deny-list may be shown. Address zero is no signer.
library SessionTree {
    using Reader for bytes;

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice An item of no known kind, or with bits that mean nothing.
    error InvalidNodeType(uint256 flag);
    /// @notice No identity signer is shown, more than one, or address zero.
    error InvalidIdentitySigner();
    /// @notice More than one deny-list is shown, or none where one is needed.
    error InvalidBlacklist();
    /// @notice The deny-list is not in rising order.
    error InvalidBlacklistUnsorted();
    /// @notice An empty tree, a branch of fewer than two items, or a hash of zero.
    error MalformedTree();
    /// @notice Address zero cannot have a session.
    error ZeroSigner();
    /// @notice A session has more permissions than calls can name, or a chain that cannot be.
    error InvalidSession(address signer);
    /// @notice A rule compares in a way that is not known.
    error InvalidParameterOperation(uint256 flags);
    /// @notice A rule looks at nothing.
    error EmptyMask();
    /// @notice Branches within branches without end.
    error TooDeep();

    // ─── Types ──────────────────────────────────────────────────────────────────────────────────────

    /// @notice What a tree shows. Positions are offsets in calldata.
    struct Shown {
        bytes32 root;
        address identitySigner;
        bool hasBlacklist;
        /// Where the deny-list's addresses begin, and how many there are.
        uint256 blacklist;
        uint256 blacklistLength;
        /// Each: signer in the upper 160 bits, where its permissions begin in the lower 96.
        uint256[] sessions;
    }

    uint256 private constant TAG_PERMISSIONS = 0;
    uint256 private constant TAG_NODE = 1;
    uint256 private constant TAG_BRANCH = 2;
    uint256 private constant TAG_BLACKLIST = 3;
    uint256 private constant TAG_IDENTITY = 4;

    /// @dev Bytes of a permissions leaf up to its permissions: tag, signer, chain, value, deadline, count.
    uint256 private constant PERMISSIONS_HEAD = 1 + 20 + 32 + 32 + 8 + 1;
    /// @dev Bytes of a rule: flags, value, offset, mask.
    uint256 internal constant RULE = 97;
    uint256 private constant WIDE_BLACKLIST = 15;
    uint256 private constant MAX_PERMISSIONS = 127;
    /// @dev The highest comparison, and whether it is of totals.
    uint256 private constant MAX_RULE_FLAGS = 7;
    uint256 private constant MAX_DEPTH = 64;

    // ─── Folding ────────────────────────────────────────────────────────────────────────────────────

    /// @notice Reads a whole tree.
    function read(bytes calldata tree) internal pure returns (Shown memory shown) {
        (shown.root,) = _fold(tree, shown, 0);
        if (shown.identitySigner == address(0)) revert InvalidIdentitySigner();
    }

    function _fold(bytes calldata tree, Shown memory shown, uint256 depth)
        private
        pure
        returns (bytes32 root, uint256 items)
    {
        if (depth == MAX_DEPTH) revert TooDeep();
        uint256 cursor;
        while (cursor != tree.length) {
            uint256 start = cursor;
            uint256 flag;
            (flag, cursor) = tree.u8(cursor);
            uint256 tag = flag >> 4;
            uint256 low = flag & 0x0f;
            bytes32 node;
            if (tag == TAG_BRANCH) {
                bytes calldata branch;
                if (low == 0) revert InvalidNodeType(flag);
                (branch, cursor) = tree.sized(cursor, low);
                uint256 children;
                (node, children) = _fold(branch, shown, depth + 1);
                // Its hash would be that of its only child.
                if (children == 1) revert MalformedTree();
            } else if (tag == TAG_BLACKLIST) {
                (node, cursor) = _blacklist(tree, cursor, low, shown);
            } else if (low != 0) {
                revert InvalidNodeType(flag);
            } else if (tag == TAG_PERMISSIONS) {
                cursor = _skipPermissions(tree, start, shown);
                node = keccak256(tree[start:cursor]);
            } else if (tag == TAG_NODE) {
                (node, cursor) = tree.word(cursor);
                if (node == 0) revert MalformedTree();
            } else if (tag == TAG_IDENTITY) {
                address signer;
                (signer, cursor) = tree.account(cursor);
                if (signer == address(0) || shown.identitySigner != address(0)) revert InvalidIdentitySigner();
                shown.identitySigner = signer;
                node = keccak256(abi.encodePacked(uint8(TAG_IDENTITY), signer));
            } else {
                revert InvalidNodeType(flag);
            }
            root = root == 0 ? node : _pair(root, node);
            ++items;
        }
        if (root == 0) revert MalformedTree();
    }

    function _blacklist(bytes calldata tree, uint256 cursor, uint256 count, Shown memory shown)
        private
        pure
        returns (bytes32 node, uint256 next)
    {
        if (shown.hasBlacklist) revert InvalidBlacklist();
        if (count == WIDE_BLACKLIST) (count, cursor) = tree.number(cursor, 2);
        next = cursor + 20 * count;
        if (next > tree.length) revert Reader.Truncated();
        address previous;
        for (uint256 i = cursor; i != next; i += 20) {
            (address current,) = tree.account(i);
            if (current <= previous) revert InvalidBlacklistUnsorted();
            previous = current;
        }
        shown.hasBlacklist = true;
        shown.blacklist = _offset(tree) + cursor;
        shown.blacklistLength = count;
        node = keccak256(abi.encodePacked(uint8(TAG_BLACKLIST), tree[cursor:next]));
    }

    /// @dev Notes whose permissions they are and returns where they end.
    function _skipPermissions(bytes calldata tree, uint256 start, Shown memory shown)
        private
        pure
        returns (uint256 cursor)
    {
        cursor = start + PERMISSIONS_HEAD;
        if (cursor > tree.length) revert Reader.Truncated();
        (address signer,) = tree.account(start + 1);
        if (signer == address(0)) revert ZeroSigner();
        (uint256 chainId,) = tree.number(start + 21, 32);
        (uint256 count,) = tree.u8(cursor - 1);
        // Calls name permissions by seven bits; a chain's number has at most 64.
        if (count > MAX_PERMISSIONS || chainId > type(uint64).max) revert InvalidSession(signer);
        for (uint256 i; i < count; ++i) {
            (uint256 rules,) = tree.u8(cursor + 20);
            cursor += 21;
            for (uint256 j; j < rules; ++j) {
                _checkRule(tree, cursor);
                cursor += RULE;
            }
        }
        if (cursor > tree.length) revert Reader.Truncated();
        shown.sessions = _with(shown.sessions, uint256(uint160(signer)) << 96 | (_offset(tree) + start + 21));
    }

    /// @dev A rule that compares in no known way, or looks at nothing, is refused also where it is not used.
    function _checkRule(bytes calldata tree, uint256 cursor) private pure {
        (uint256 flags,) = tree.u8(cursor);
        if (flags > MAX_RULE_FLAGS) revert InvalidParameterOperation(flags);
        (bytes32 mask,) = tree.word(cursor + RULE - 32);
        if (mask == 0) revert EmptyMask();
    }

    // ─── Finding ────────────────────────────────────────────────────────────────────────────────────

    /// @notice Where the first shown permissions of `signer` begin in calldata; zero if none are shown.
    function find(Shown memory shown, address signer) internal pure returns (uint256) {
        for (uint256 i; i < shown.sessions.length; ++i) {
            if (shown.sessions[i] >> 96 == uint160(signer)) return uint96(shown.sessions[i]);
        }
        return 0;
    }

    /// @notice Whether the shown deny-list has `account`.
    function denies(Shown memory shown, address account) internal pure returns (bool) {
        uint256 low;
        uint256 high = shown.blacklistLength;
        while (low < high) {
            uint256 middle = (low + high) >> 1;
            uint256 position = shown.blacklist + 20 * middle;
            uint256 entry;
            // Within the list, whose bounds were checked when it was read.
            assembly ("memory-safe") {
                entry := shr(96, calldataload(position))
            }
            if (entry == uint160(account)) return true;
            if (entry < uint160(account)) low = middle + 1;
            else high = middle;
        }
        return false;
    }

    // ─── Helpers ────────────────────────────────────────────────────────────────────────────────────

    function _with(uint256[] memory list, uint256 item) private pure returns (uint256[] memory longer) {
        longer = new uint256[](list.length + 1);
        for (uint256 i; i < list.length; ++i) {
            longer[i] = list[i];
        }
        longer[list.length] = item;
    }

    function _offset(bytes calldata data) private pure returns (uint256 position) {
        assembly ("memory-safe") {
            position := data.offset
        }
    }

    /// @dev Plain equivalent: `keccak256(abi.encodePacked(left, right))`, in the scratch space.
    function _pair(bytes32 left, bytes32 right) private pure returns (bytes32 result) {
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            result := keccak256(0x00, 0x40)
        }
    }
}
