// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ICheckpointer, Snapshot} from "../interfaces/ICheckpointer.sol";
import {IERC1271} from "../interfaces/IERC1271.sol";
import {ISapientCompact} from "../interfaces/ISapient.sol";
import {Payload} from "./Payload.sol";
import {Reader} from "./Reader.sol";
import {SapientCall} from "./SapientCall.sol";
import {HALF_ORDER, Signers} from "./Signers.sol";

/// @title Signature
/// @notice Recovers from a signature the weight behind it and the configuration it belongs to.
/// @dev A signature shows as much of the configuration's tree as is needed, folded from the left; what was
/// signed adds weight, all of it adds to the root.
///
/// WARNING: what is recovered proves nothing before the image hash was compared with the wallet's. The
/// rules here are stricter than the format's: a failed ecrecover, an upper-half `s`, address zero, a
/// threshold of zero, unknown flags, trees without a real root, weights that wrap and reads past the end
/// all revert.
library Signature {
    using Payload for Payload.Decoded;
    using Reader for bytes;

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice A flag or tag without meaning.
    error InvalidSignatureFlag(uint256 flag);
    /// @notice An ECDSA signature yields no address, or its `s` is in the upper half.
    error InvalidEcdsaSignature();
    /// @notice Address zero cannot sign.
    error ZeroSigner();
    /// @notice A threshold of zero lets anybody act.
    error ZeroThreshold();
    /// @notice An empty tree, one that begins with a branch, or a node hash of zero.
    error MalformedTree();
    /// @notice Trees within trees without end.
    error TooDeep();
    /// @notice A contract did not confirm its signature.
    error InvalidERC1271Signature(bytes32 opHash, address signer, bytes signature);
    /// @notice A chain has no links.
    error EmptyChain();
    /// @notice A chain inside a chain.
    error ChainedSignatureNestedInChainedSignature();
    /// @notice A link of a chain does not reach its own threshold.
    error LowWeightChainedSignature(bytes signature, uint256 threshold, uint256 weight);
    /// @notice A link is not older than the link before it.
    error WrongChainedCheckpointOrder(uint256 checkpoint, uint256 previousCheckpoint);
    /// @notice The checkpointer knows a newer configuration.
    error UnusedSnapshot(Snapshot snapshot);

    // ─── Constants ──────────────────────────────────────────────────────────────────────────────────

    uint256 internal constant FLAG_CHAINED = 0x01;
    uint256 internal constant FLAG_NO_CHAIN_ID = 0x02;
    uint256 internal constant FLAG_WIDE_THRESHOLD = 0x20;
    uint256 internal constant FLAG_CHECKPOINTER = 0x40;
    uint256 internal constant FLAG_STATIC = 0x80;

    uint256 private constant TAG_HASH = 0;
    uint256 private constant TAG_ADDRESS = 1;
    uint256 private constant TAG_ERC1271 = 2;
    uint256 private constant TAG_NODE = 3;
    uint256 private constant TAG_BRANCH = 4;
    uint256 private constant TAG_SUBDIGEST = 5;
    uint256 private constant TAG_NESTED = 6;
    uint256 private constant TAG_ETH_SIGN = 7;
    uint256 private constant TAG_ANY_ADDRESS_SUBDIGEST = 8;
    uint256 private constant TAG_SAPIENT = 9;
    uint256 private constant TAG_SAPIENT_COMPACT = 10;

    /// @dev Trees within trees, the outermost included.
    uint256 private constant MAX_DEPTH = 64;
    /// @dev What `_recoverTree` has allocated when it is two trees below that: 0xe0 + 0xa0 * (MAX_DEPTH - 2).
    uint256 private constant SHALLOW = 0x27a0;

    // ─── Whole signatures ───────────────────────────────────────────────────────────────────────────

    /// @notice Reads a signature's flags; what follows them stands between two positions in calldata.
    function open(bytes calldata signature) internal pure returns (uint256 flags, uint256 cursor, uint256 end) {
        (cursor, end) = signature.bounds();
        if (cursor == end) revert Reader.Truncated();
        flags = Reader.load8(cursor);
        unchecked {
            ++cursor;
        }
    }

    /// @notice Recovers a signature that was opened and is not static.
    /// @dev Sets `payload.noChainId` as the signature says. Weight and image are the caller's to judge.
    /// @param body The payload's struct hash.
    function recover(Payload.Decoded memory payload, bytes32 body, uint256 flags, uint256 cursor, uint256 end)
        internal
        view
        returns (uint256 threshold, uint256 weight, bytes32 imageHash, uint256 checkpoint, bytes32 opHash)
    {
        if (flags & (FLAG_STATIC | FLAG_CHECKPOINTER | FLAG_CHAINED) == 0) {
            return _recoverConfig(payload, body, flags, cursor, end, address(0));
        }
        if (flags & FLAG_CHAINED != 0) return _recoverChain(body, flags, cursor, end, payload);
        if (flags & FLAG_STATIC != 0) revert InvalidSignatureFlag(flags);
        address checkpointer;
        Snapshot memory snapshot;
        (checkpointer, snapshot, cursor) = _readSnapshot(cursor, end);
        (threshold, weight, imageHash, checkpoint, opHash) =
            _recoverConfig(payload, body, flags, cursor, end, checkpointer);
        if (snapshot.imageHash != 0 && snapshot.imageHash != imageHash && checkpoint <= snapshot.checkpoint) {
            revert UnusedSnapshot(snapshot);
        }
    }

    /// @dev Newest first: the first link signs the payload, each other link signs the update to the
    /// configuration before it, and the last is the wallet's own. Threshold and weight are those of the first link,
    /// for the caller to judge: it may ask what a part of the present signers says. All others must suffice here.
    function _recoverChain(
        bytes32 body,
        uint256 flags,
        uint256 cursor,
        uint256 end,
        Payload.Decoded memory payload
    )
        private
        view
        returns (uint256 threshold, uint256 weight, bytes32 imageHash, uint256 checkpoint, bytes32 opHash)
    {
        if (flags & ~(FLAG_CHAINED | FLAG_CHECKPOINTER) != 0) revert InvalidSignatureFlag(flags);
        address checkpointer;
        Snapshot memory snapshot;
        if (flags & FLAG_CHECKPOINTER != 0) (checkpointer, snapshot, cursor) = _readSnapshot(cursor, end);
        if (cursor == end) revert EmptyChain();

        uint256 previousCheckpoint = type(uint256).max;
        while (cursor != end) {
            uint256 link;
            (link, cursor) = _readSized(cursor, end, 3);
            uint256 needed;
            uint256 reached;
            bytes32 signed;
            (needed, reached, imageHash, checkpoint, signed) =
                _recoverLink(payload, body, link, cursor, checkpointer, cursor == end);

            if (previousCheckpoint == type(uint256).max) {
                (threshold, weight, opHash) = (needed, reached, signed);
            } else if (reached < needed) {
                revert LowWeightChainedSignature(Reader.slice(link, cursor - link), needed, reached);
            }
            if (checkpoint >= previousCheckpoint) revert WrongChainedCheckpointOrder(checkpoint, previousCheckpoint);
            previousCheckpoint = checkpoint;
            if (snapshot.imageHash == imageHash) snapshot.imageHash = 0;
            if (cursor != end) {
                payload = Payload.fromConfigUpdate(imageHash);
                body = payload.structHash();
            }
        }
        if (snapshot.imageHash != 0 && checkpoint <= snapshot.checkpoint) revert UnusedSnapshot(snapshot);
    }

    /// @dev The last link's checkpointer is the one that the head of the chain shows; any other link shows
    /// its own, without a proof.
    function _recoverLink(
        Payload.Decoded memory payload,
        bytes32 body,
        uint256 cursor,
        uint256 end,
        address checkpointer,
        bool last
    ) private view returns (uint256, uint256, bytes32, uint256, bytes32) {
        uint256 flags;
        (flags, cursor) = Reader.numberAt(cursor, end, 1);
        if (flags & FLAG_STATIC != 0) revert InvalidSignatureFlag(flags);
        if (flags & FLAG_CHAINED != 0) revert ChainedSignatureNestedInChainedSignature();
        if (!last) checkpointer = address(0);
        if (flags & FLAG_CHECKPOINTER != 0) {
            if (last) revert InvalidSignatureFlag(flags);
            (checkpointer, cursor) = _readSigner(cursor, end);
        }
        return _recoverConfig(payload, body, flags, cursor, end, checkpointer);
    }

    /// @dev What follows the checkpointer: checkpoint, threshold, tree.
    function _recoverConfig(
        Payload.Decoded memory payload,
        bytes32 body,
        uint256 flags,
        uint256 cursor,
        uint256 end,
        address checkpointer
    )
        private
        view
        returns (uint256 threshold, uint256 weight, bytes32 imageHash, uint256 checkpoint, bytes32 opHash)
    {
        bool noChainId = flags & FLAG_NO_CHAIN_ID != 0;
        payload.noChainId = noChainId;
        opHash = Payload.hashOf(body, noChainId, address(this));
        // Plain equivalent:
        //   (checkpoint, cursor) = Reader.numberAt(cursor, end, (flags >> 2) & 0x07);
        //   (threshold, cursor) = Reader.numberAt(cursor, end, flags & FLAG_WIDE_THRESHOLD == 0 ? 1 : 2);
        // with the end checked once, after both.
        assembly ("memory-safe") {
            let bits := shl(1, and(flags, 0x1c))
            checkpoint := shr(sub(256, bits), calldataload(cursor))
            cursor := add(cursor, shr(3, bits))
            bits := add(8, shr(2, and(flags, 0x20)))
            threshold := shr(sub(256, bits), calldataload(cursor))
            cursor := add(cursor, shr(3, bits))
        }
        if (cursor > end) revert Reader.Truncated();
        if (threshold == 0) revert ZeroThreshold();
        (weight, imageHash) = _recoverTree(payload, opHash, cursor, end);
        // Plain equivalent: H(H(H(imageHash, threshold), checkpoint), checkpointer), H hashing two words.
        assembly ("memory-safe") {
            mstore(0x00, imageHash)
            mstore(0x20, threshold)
            mstore(0x00, keccak256(0x00, 0x40))
            mstore(0x20, checkpoint)
            mstore(0x00, keccak256(0x00, 0x40))
            mstore(0x20, shr(96, shl(96, checkpointer)))
            imageHash := keccak256(0x00, 0x40)
        }
    }

    function _readSnapshot(uint256 cursor, uint256 end)
        private
        view
        returns (address checkpointer, Snapshot memory snapshot, uint256 next)
    {
        (checkpointer, cursor) = _readSigner(cursor, end);
        (cursor, next) = _readSized(cursor, end, 3);
        snapshot = ICheckpointer(checkpointer).snapshotFor(address(this), Reader.slice(cursor, next - cursor));
    }

    // ─── Trees ──────────────────────────────────────────────────────────────────────────────────────

    /// @dev The items between two positions in calldata, and the trees inside them.
    /// The inner loop reads what most signatures consist of: keys that signed (tag 0) or did not (1), with small
    /// weights, hashes of subtrees (3), branches (4) and nested trees (6). It stops before anything else, and also
    /// before what is wrong, which the code after it then reads once more to say so.
    /// A branch or nested tree is no recursion but a frame of five words in memory: the frame around it, and
    /// end, weight and root of the tree it stands in, and for a nested tree its threshold and weight in one.
    function _recoverTree(Payload.Decoded memory payload, bytes32 opHash, uint256 cursor, uint256 end)
        private
        view
        returns (uint256 weight, bytes32 root)
    {
        uint256 frame;
        // What does not change from signer to signer stands here once: opHash, then v, r and s of a signature;
        // and from 0x80 the beginning of a leaf, then signer and weight.
        uint256 scratch;
        assembly ("memory-safe") {
            scratch := mload(0x40)
            mstore(0x40, add(scratch, 0xe0))
            mstore(scratch, opHash)
            mstore(add(scratch, 0x80), "Sequence signer:\n")
        }
        while (true) {
            assembly ("memory-safe") {
                function fold(left, node) -> result {
                    result := node
                    if left {
                        mstore(0x00, left)
                        mstore(0x20, node)
                        result := keccak256(0x00, 0x40)
                    }
                }
                for {} 1 {} {
                    if eq(cursor, end) {
                        // The end of an inner tree, which is a node of the tree around it.
                        if or(iszero(frame), iszero(root)) { break }
                        let config := mload(add(frame, 0x80))
                        let added := weight
                        let node := root
                        if config {
                            // Plain equivalent:
                            //   added = weight >= threshold ? own : 0;
                            //   node = keccak256(abi.encodePacked("Sequence nested config:\n", root, threshold, own));
                            let own := and(config, 0xff)
                            let threshold := shr(8, config)
                            added := mul(own, iszero(lt(weight, threshold)))
                            let free := mload(0x40)
                            mstore(free, "Sequence nested config:\n")
                            mstore(add(free, 24), root)
                            mstore(add(free, 56), threshold)
                            mstore(add(free, 88), own)
                            node := keccak256(free, 120)
                        }
                        let total := add(mload(add(frame, 0x40)), added)
                        if lt(total, added) { break }
                        weight := total
                        root := fold(mload(add(frame, 0x60)), node)
                        end := mload(add(frame, 0x20))
                        frame := mload(frame)
                        continue
                    }
                    let item := byte(0, calldataload(cursor))
                    let next := add(cursor, 1)
                    // A signature, with a weight from 1 to 15.
                    if lt(sub(item, 0x01), 0x0f) {
                        // Plain equivalent: signer = ecrecover(opHash, 27 + (s >> 255), r, s without its top bit),
                        // which is zero if it fails; see `Signers`.
                        mstore(add(scratch, 0x40), calldataload(next))
                        let s := calldataload(add(next, 0x20))
                        next := add(next, 0x40)
                        mstore(add(scratch, 0x20), add(27, shr(255, s)))
                        s := shr(1, shl(1, s))
                        mstore(add(scratch, 0x60), s)
                        mstore(0x00, 0)
                        pop(staticcall(gas(), 1, scratch, 0x80, 0x00, 0x20))
                        let signer := mload(0x00)
                        let total := add(weight, item)
                        if or(or(gt(s, HALF_ORDER), gt(next, end)), or(iszero(signer), lt(total, item))) { break }
                        weight := total
                        cursor := next
                        // Plain equivalent: root = fold(root, _signerLeaf(signer, item))
                        mstore(add(scratch, 0x91), shl(96, signer))
                        mstore(add(scratch, 0xa5), item)
                        root := fold(root, keccak256(add(scratch, 0x80), 69))
                        continue
                    }
                    // A signer that did not sign, with a weight from 1 to 15.
                    if lt(sub(item, 0x11), 0x0f) {
                        let signer := shr(96, calldataload(next))
                        next := add(next, 20)
                        if or(gt(next, end), iszero(signer)) { break }
                        cursor := next
                        mstore(add(scratch, 0x91), shl(96, signer))
                        mstore(add(scratch, 0xa5), sub(item, 0x10))
                        root := fold(root, keccak256(add(scratch, 0x80), 69))
                        continue
                    }
                    if eq(item, 0x30) {
                        let node := calldataload(next)
                        next := add(next, 0x20)
                        if or(gt(next, end), iszero(node)) { break }
                        root := fold(root, node)
                        cursor := next
                        continue
                    }

                    // An inner tree. Plain equivalent: its weight and threshold as `_refuseInner` reads them, its
                    // length and end as `_readSized` does.
                    let bits := 24
                    let config := 0
                    switch shr(4, item)
                    case 4 {
                        if iszero(root) { break }
                        bits := shl(3, and(item, 0x0f))
                    }
                    case 6 {
                        let own := and(shr(2, item), 0x03)
                        if iszero(own) {
                            own := byte(0, calldataload(next))
                            next := add(next, 1)
                        }
                        let threshold := and(item, 0x03)
                        if iszero(threshold) {
                            threshold := shr(240, calldataload(next))
                            next := add(next, 2)
                        }
                        if iszero(threshold) { break }
                        config := or(shl(8, threshold), own)
                    }
                    default { break }
                    let length := shr(sub(256, bits), calldataload(next))
                    next := add(next, shr(3, bits))
                    let free := mload(0x40)
                    let wrong := or(gt(next, end), gt(length, sub(end, next)))
                    // Counted only where there is memory enough for so many frames.
                    if or(wrong, gt(sub(free, scratch), SHALLOW)) {
                        let depth := 2
                        for { let outer := frame } outer { outer := mload(outer) } { depth := add(depth, 1) }
                        if or(wrong, gt(depth, MAX_DEPTH)) { break }
                    }
                    mstore(0x40, add(free, 0xa0))
                    mstore(free, frame)
                    mstore(add(free, 0x20), end)
                    mstore(add(free, 0x40), weight)
                    mstore(add(free, 0x60), root)
                    mstore(add(free, 0x80), config)
                    frame := free
                    cursor := next
                    end := add(next, length)
                    weight := 0
                    root := 0
                }
            }
            if (cursor == end) {
                if (root == 0) revert MalformedTree();
                if (frame == 0) return (weight, root);
                // The loop does not stop here unless the sum of both weights would wrap: it does.
                weight += type(uint256).max;
            }

            uint256 tag = Reader.load8(cursor);
            uint256 free = tag & 0x0f;
            tag >>= 4;
            ++cursor;
            uint256 added;
            bytes32 node;
            if (tag == TAG_SAPIENT) {
                (added, node, cursor) = _recoverContract(payload, opHash, cursor, end, tag, free);
            } else if (tag < TAG_ERC1271 || tag == TAG_ETH_SIGN) {
                (added, node, cursor) = _recoverSigner(opHash, cursor, end, tag, free);
            } else if (tag == TAG_NODE || tag == TAG_SUBDIGEST || tag == TAG_ANY_ADDRESS_SUBDIGEST) {
                if (free != 0) revert InvalidSignatureFlag((tag << 4) | free);
                bool approved;
                (approved, node, cursor) = _recoverHash(payload, opHash, cursor, end, tag);
                // An approved digest sets the weight instead of adding to it.
                if (approved) weight = type(uint256).max;
            } else if (tag == TAG_BRANCH || tag == TAG_NESTED) {
                _refuseInner(cursor, end, tag, free, root);
            } else {
                (added, node, cursor) = _recoverContract(payload, opHash, cursor, end, tag, free);
            }
            weight += added;
            root = root == 0 ? node : _pair(root, node);
        }
    }

    /// @dev Says what is wrong with a branch or nested tree, which was not entered because something is.
    function _refuseInner(uint256 cursor, uint256 end, uint256 tag, uint256 free, bytes32 root) private pure {
        uint256 width = free;
        if (tag == TAG_BRANCH) {
            // As the first item it would be hashed with an empty left side.
            if (root == 0) revert MalformedTree();
        } else {
            width = 3;
            uint256 threshold = free & 0x03;
            if (free >> 2 == 0) (, cursor) = Reader.numberAt(cursor, end, 1);
            if (threshold == 0) (threshold, cursor) = Reader.numberAt(cursor, end, 2);
            if (threshold == 0) revert ZeroThreshold();
        }
        _readSized(cursor, end, width);
        revert TooDeep();
    }

    function _recoverSigner(bytes32 opHash, uint256 cursor, uint256 end, uint256 tag, uint256 weight)
        private
        view
        returns (uint256 added, bytes32 node, uint256 next)
    {
        unchecked {
            // Before its end is checked the weight may be anything: what follows it is then missing too.
            if (weight == 0) weight = Reader.load8(cursor++);
            address signer;
            if (tag == TAG_ADDRESS) {
                (signer, next) = _readSigner(cursor, end);
            } else {
                next = cursor + 64;
                if (next > end) revert Reader.Truncated();
                if (tag == TAG_ETH_SIGN) {
                    opHash = keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", opHash));
                }
                signer = Signers.recover(opHash, bytes32(Reader.load(cursor)), bytes32(Reader.load(cursor + 32)));
                if (signer == address(0)) revert InvalidEcdsaSignature();
                added = weight;
            }
            node = _signerLeaf(signer, weight);
        }
    }

    function _recoverHash(Payload.Decoded memory payload, bytes32 opHash, uint256 cursor, uint256 end, uint256 tag)
        private
        view
        returns (bool approved, bytes32 node, uint256 next)
    {
        uint256 raw;
        (raw, next) = Reader.numberAt(cursor, end, 32);
        bytes32 value = bytes32(raw);
        if (tag == TAG_NODE) {
            if (value == 0) revert MalformedTree();
            return (false, value, next);
        }
        if (tag == TAG_SUBDIGEST) {
            return (value == opHash, keccak256(abi.encodePacked("Sequence static digest:\n", value)), next);
        }
        approved = value == payload.hashFor(address(0));
        node = keccak256(abi.encodePacked("Sequence any address subdigest:\n", value));
    }

    function _recoverContract(
        Payload.Decoded memory payload,
        bytes32 opHash,
        uint256 cursor,
        uint256 end,
        uint256 tag,
        uint256 free
    ) private view returns (uint256 weight, bytes32 node, uint256 next) {
        if (tag != TAG_SAPIENT && tag != TAG_ERC1271 && tag != TAG_SAPIENT_COMPACT) {
            revert InvalidSignatureFlag(tag);
        }
        weight = free & 0x03;
        if (weight == 0) (weight, cursor) = Reader.numberAt(cursor, end, 1);
        address signer;
        (signer, cursor) = _readSigner(cursor, end);
        (cursor, next) = _readSized(cursor, end, free >> 2);
        bytes calldata data = Reader.slice(cursor, next - cursor);

        if (tag == TAG_ERC1271) {
            if (IERC1271(signer).isValidSignature(opHash, data) != IERC1271.isValidSignature.selector) {
                revert InvalidERC1271Signature(opHash, signer, data);
            }
            node = _signerLeaf(signer, weight);
        } else {
            bytes32 imageHash = tag == TAG_SAPIENT
                ? SapientCall.ask(payload, signer, data)
                : ISapientCompact(signer).recoverSapientSignatureCompact(opHash, data);
            node = keccak256(abi.encodePacked("Sequence sapient config:\n", signer, weight, imageHash));
        }
    }

    // ─── Parts ──────────────────────────────────────────────────────────────────────────────────────

    function _readSigner(uint256 cursor, uint256 end) private pure returns (address signer, uint256 next) {
        unchecked {
            next = cursor + 20;
            if (next > end) revert Reader.Truncated();
            signer = address(uint160(Reader.load(cursor) >> 96));
            if (signer == address(0)) revert ZeroSigner();
        }
    }

    /// @dev A length of `width` bytes, then that many bytes: their first position and the one after them.
    function _readSized(uint256 cursor, uint256 end, uint256 width) private pure returns (uint256 start, uint256 next) {
        uint256 length;
        (length, start) = Reader.numberAt(cursor, end, width);
        unchecked {
            if (length > end - start) revert Reader.Truncated();
            next = start + length;
        }
    }

    /// @dev Plain equivalent: `keccak256(abi.encodePacked("Sequence signer:\n", signer, weight))`.
    function _signerLeaf(address signer, uint256 weight) private pure returns (bytes32 leaf) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, "Sequence signer:\n")
            mstore(add(free, 17), shl(96, signer))
            mstore(add(free, 37), weight)
            leaf := keccak256(free, 69)
        }
    }

    /// @dev Plain equivalent: `keccak256(abi.encode(left, right))`, in scratch space instead of new memory.
    function _pair(bytes32 left, bytes32 right) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            hash := keccak256(0x00, 0x40)
        }
    }
}
