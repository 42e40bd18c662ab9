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
        address identitySigner;
        /// Where the deny-list's addresses begin, zero if it is not shown, and how many there are.
        uint256 blacklist;
        uint256 blacklistLength;
        /// Each: signer in the upper 160 bits, where its permissions begin in the lower 96.
        uint256[] sessions;
    }

    /// @dev The bytes that items begin with. The lower four bits of a branch are the width of its length, those
    /// of a deny-list its length; all others have none.
    uint256 private constant PERMISSIONS = 0x00;
    uint256 private constant NODE = 0x10;
    uint256 private constant BRANCH = 0x20;
    uint256 private constant BLACKLIST = 0x30;
    uint256 private constant IDENTITY = 0x40;

    /// @dev Bytes of a permissions leaf up to its permissions: tag, signer, chain, value, deadline, count.
    uint256 private constant PERMISSIONS_HEAD = 1 + 20 + 32 + 32 + 8 + 1;
    /// @dev Bytes of a permission up to its rules: target, count.
    uint256 private constant PERMISSION_HEAD = 20 + 1;
    /// @dev Bytes of a rule: flags, value, offset, mask.
    uint256 internal constant RULE = 97;
    uint256 private constant WIDE_BLACKLIST = 15;
    uint256 private constant MAX_PERMISSIONS = 127;
    /// @dev The highest comparison, and whether it is of totals.
    uint256 private constant MAX_RULE_FLAGS = 7;
    uint256 private constant MAX_DEPTH = 64;
    /// @dev keccak256(hex"03"): the node of a deny-list without addresses.
    uint256 private constant EMPTY_BLACKLIST = 0x69c322e3248a5dfc29d73c5b0553b0185a35cd5bb6386747517ef7e53b15e287;

    // ─── Folding ────────────────────────────────────────────────────────────────────────────────────
    //
    // Trees are read by positions in calldata, each item compared with the end of what it stands in before
    // anything of it is used. Positions are below the size of calldata and widths below 2^120, so that no sum
    // wraps.

    /// @notice Reads a whole tree, which stands between two positions.
    function read(uint256 cursor, uint256 end) internal pure returns (bytes32 root, Shown memory shown) {
        uint256[] memory sessions;
        // Plain equivalent: `sessions = new uint256[](0)`, to which each session is appended. Here is room for as
        // many as there can be, each written before it is read.
        assembly ("memory-safe") {
            sessions := mload(0x40)
            mstore(sessions, 0)
            mstore(0x40, add(sessions, shl(5, add(1, div(sub(end, cursor), PERMISSIONS_HEAD)))))
        }
        shown.sessions = sessions;
        root = _fold(cursor, end, shown);
        if (shown.identitySigner == address(0)) revert InvalidIdentitySigner();
    }

    /// @dev The items between two positions. The inner loop reads hashes, permissions, the identity signer, branches
    /// and the deny-list that denies nobody. It stops before any other deny-list, and before what is wrong.
    /// A branch is no recursion but a frame of five words in memory: the frame around it, end and root of what it
    /// stands in, where its first item ends, and how deep it is. The whole tree has one too.
    function _fold(uint256 cursor, uint256 end, Shown memory shown) private pure returns (bytes32 root) {
        unchecked {
            uint256 frame;
            // Plain equivalent: `frame = new uint256[](5)`.
            assembly ("memory-safe") {
                frame := mload(0x40)
                mstore(0x40, add(frame, 0xa0))
                mstore(frame, 0)
                mstore(add(frame, 0x80), 0)
            }
            while (true) {
                // Every transaction by a session reads a tree, item by item; in Solidity twice as dearly. Plain
                // equivalent, with `next` where the item ends and `number` for its integers:
                //   hash: `node`, not zero.
                //   permissions: `node = keccak256(item)`, after the checks that `_refusePermissions` lists;
                //       `shown.sessions.push(signer << 96 | (cursor + 21))`.
                //   identity signer: `node = keccak256(abi.encodePacked(uint8(4), signer))`, the only one.
                //   deny-list without addresses: as `_blacklist`.
                //   branch: `node = _fold(start, start + length)`, which has more than one item.
                //   each: `root = root == 0 ? node : keccak256(abi.encode(root, node))`.
                assembly ("memory-safe") {
                    for {} 1 {} {
                        let node := root
                        let next := cursor
                        switch eq(cursor, end)
                        case 0 {
                            next := add(cursor, 1)
                            node := calldataload(next)
                            let flag := byte(0, calldataload(cursor))
                            switch flag
                            case 0x10 {
                                next := add(cursor, 33)
                                if or(gt(next, end), iszero(node)) { break }
                            }
                            case 0x00 {
                                next := add(cursor, PERMISSIONS_HEAD)
                                let count := byte(0, calldataload(sub(next, 1)))
                                let wrong := or(gt(count, MAX_PERMISSIONS), shr(64, calldataload(add(cursor, 21))))
                                if or(wrong, or(iszero(shr(96, node)), gt(next, end))) { break }
                                for {} count { count := sub(count, 1) } {
                                    let rule := add(next, PERMISSION_HEAD)
                                    next := add(rule, mul(RULE, byte(12, calldataload(add(next, 8)))))
                                    wrong := or(wrong, gt(next, end))
                                    // Flags above 7, or a mask of zero.
                                    for {} lt(rule, next) { rule := add(rule, RULE) } {
                                        let bad := or(shr(251, calldataload(rule)), iszero(calldataload(add(rule, 65))))
                                        wrong := or(wrong, bad)
                                    }
                                    if wrong { break }
                                }
                                if wrong { break }
                                let sessions := mload(add(shown, 0x60))
                                let length := add(mload(sessions), 1)
                                mstore(sessions, length)
                                mstore(add(sessions, shl(5, length)), or(shl(96, shr(96, node)), add(cursor, 21)))
                                node := mload(0x40)
                                length := sub(next, cursor)
                                calldatacopy(node, cursor, length)
                                node := keccak256(node, length)
                            }
                            case 0x30 {
                                if mload(add(shown, 0x20)) { break }
                                mstore(add(shown, 0x20), next)
                                node := EMPTY_BLACKLIST
                            }
                            case 0x40 {
                                next := add(cursor, 21)
                                node := shr(96, node)
                                if or(or(gt(next, end), iszero(node)), mload(shown)) { break }
                                mstore(shown, node)
                                mstore(0x00, or(shl(250, 1), shl(88, node)))
                                node := keccak256(0x00, 21)
                            }
                            default {
                                let bits := shl(3, and(flag, 0x0f))
                                next := add(next, shr(3, bits))
                                node := add(next, shr(sub(256, bits), node))
                                let depth := add(1, mload(add(frame, 0x80)))
                                let wrong := or(gt(node, end), eq(depth, MAX_DEPTH))
                                if or(wrong, iszero(lt(sub(flag, 0x21), 0x0f))) { break }
                                let inner := mload(0x40)
                                mstore(0x40, add(inner, 0xa0))
                                mstore(inner, frame)
                                mstore(add(inner, 0x20), end)
                                mstore(add(inner, 0x40), root)
                                mstore(add(inner, 0x80), depth)
                                frame := inner
                                cursor := next
                                end := node
                                root := 0
                                // Also where there is no item.
                                mstore(add(frame, 0x60), end)
                                continue
                            }
                        }
                        default {
                            let outer := mload(frame)
                            // The end of the tree, or of a branch of one item or none.
                            if or(iszero(outer), eq(mload(add(frame, 0x60)), end)) { break }
                            end := mload(add(frame, 0x20))
                            root := mload(add(frame, 0x40))
                            frame := outer
                        }
                        switch root
                        case 0 { mstore(add(frame, 0x60), next) }
                        default {
                            mstore(0x00, root)
                            mstore(0x20, node)
                            node := keccak256(0x00, 0x40)
                        }
                        root := node
                        cursor := next
                    }
                }
                if (cursor == end) {
                    // Empty, or a branch, whose hash would be that of its only item.
                    if (root == 0 || _word(frame) != 0) revert MalformedTree();
                    return root;
                }
                uint256 flag = Reader.load8(cursor);
                if (flag & 0xf0 != BLACKLIST) _refuse(cursor, end, flag);
                bytes32 list;
                (list, cursor) = _blacklist(cursor + 1, end, flag & 0x0f, shown);
                // As at the end of the loop above.
                assembly ("memory-safe") {
                    switch root
                    case 0 { mstore(add(frame, 0x60), cursor) }
                    default {
                        mstore(0x00, root)
                        mstore(0x20, list)
                        list := keccak256(0x00, 0x40)
                    }
                    root := list
                }
            }
        }
    }

    function _blacklist(uint256 cursor, uint256 end, uint256 count, Shown memory shown)
        private
        pure
        returns (bytes32 node, uint256 next)
    {
        unchecked {
            if (shown.blacklist != 0) revert InvalidBlacklist();
            if (count == WIDE_BLACKLIST) (count, cursor) = Reader.numberAt(cursor, end, 2);
            next = cursor + 20 * count;
            if (next > end) revert Reader.Truncated();
            uint256 previous;
            for (uint256 i = cursor; i != next; i += 20) {
                uint256 current = Reader.load(i) >> 96;
                if (current <= previous) revert InvalidBlacklistUnsorted();
                previous = current;
            }
            shown.blacklist = cursor;
            shown.blacklistLength = count;
            node = keccak256(abi.encodePacked(uint8(BLACKLIST >> 4), Reader.slice(cursor, next - cursor)));
        }
    }

    // ─── Refusing ───────────────────────────────────────────────────────────────────────────────────

    /// @dev Says what is wrong with an item, which was not read because something is.
    function _refuse(uint256 cursor, uint256 end, uint256 flag) private pure {
        unchecked {
            if (flag == PERMISSIONS) _refusePermissions(cursor, end);
            if (flag == NODE) {
                if (cursor + 33 > end) revert Reader.Truncated();
                revert MalformedTree();
            }
            if (flag == IDENTITY) {
                if (cursor + 21 > end) revert Reader.Truncated();
                revert InvalidIdentitySigner();
            }
            if (flag & 0xf0 != BRANCH || flag == BRANCH) revert InvalidNodeType(flag);
            uint256 length;
            (length, cursor) = Reader.numberAt(cursor + 1, end, flag & 0x0f);
            if (length > end - cursor) revert Reader.Truncated();
            revert TooDeep();
        }
    }

    function _refusePermissions(uint256 start, uint256 end) private pure {
        unchecked {
            uint256 cursor = start + PERMISSIONS_HEAD;
            if (cursor > end) revert Reader.Truncated();
            address signer = address(uint160(Reader.load(start + 1) >> 96));
            if (signer == address(0)) revert ZeroSigner();
            uint256 count = Reader.load8(cursor - 1);
            // Calls name permissions by seven bits; a chain's number has at most 64.
            if (count > MAX_PERMISSIONS || Reader.load(start + 21) > type(uint64).max) revert InvalidSession(signer);
            for (; count != 0; --count) {
                uint256 rule = cursor + PERMISSION_HEAD;
                cursor = rule + RULE * Reader.load8(cursor + 20);
                if (cursor > end) revert Reader.Truncated();
                for (; rule != cursor; rule += RULE) {
                    // Refused also where it is not used.
                    uint256 flags = Reader.load8(rule);
                    if (flags > MAX_RULE_FLAGS) revert InvalidParameterOperation(flags);
                    if (Reader.load(rule + RULE - 32) == 0) revert EmptyMask();
                }
            }
        }
    }

    // ─── Finding ────────────────────────────────────────────────────────────────────────────────────

    /// @notice Where the first shown permissions of `signer` begin in calldata; zero if none are shown.
    function find(Shown memory shown, address signer) internal pure returns (uint256 position) {
        uint256[] memory sessions = shown.sessions;
        // Without bounds checks. Plain equivalent:
        //   for (uint256 i; i < sessions.length; ++i) {
        //       if (sessions[i] >> 96 == uint160(signer)) return uint96(sessions[i]);
        //   }
        assembly ("memory-safe") {
            signer := shl(96, signer)
            let place := add(sessions, 0x20)
            for { let last := add(place, shl(5, mload(sessions))) } lt(place, last) { place := add(place, 0x20) } {
                let session := mload(place)
                if iszero(shr(96, xor(session, signer))) {
                    position := xor(session, signer)
                    break
                }
            }
        }
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

    function _word(uint256 place) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(place)
        }
    }
}
