// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ICheckpointer, Snapshot} from "../interfaces/ICheckpointer.sol";
import {IERC1271} from "../interfaces/IERC1271.sol";
import {ISapient, ISapientCompact} from "../interfaces/ISapient.sol";
import {Payload} from "./Payload.sol";
import {Reader} from "./Reader.sol";

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

    // ─── Types ──────────────────────────────────────────────────────────────────────────────────────

    /// @notice What a signature shows.
    struct Recovered {
        uint256 threshold;
        uint256 weight;
        bytes32 imageHash;
        uint256 checkpoint;
        bytes32 opHash;
    }

    /// @dev How a configuration's signature shows its checkpointer.
    enum Mode {
        Alone,
        InChain,
        EndOfChain
    }

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

    bytes4 private constant ERC1271_MAGIC = 0x1626ba7e;
    /// @dev Half the order of secp256k1.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    // ─── Whole signatures ───────────────────────────────────────────────────────────────────────────

    /// @notice Recovers a signature that is not static.
    /// @dev Sets `payload.noChainId` as the signature says. Weight and image are the caller's to judge.
    function recover(Payload.Decoded memory payload, bytes calldata signature)
        internal
        view
        returns (Recovered memory)
    {
        (uint256 flags,) = signature.u8(0);
        if (flags & FLAG_CHAINED != 0) return _recoverChain(payload, signature);
        return _recoverAlone(payload, signature);
    }

    function _recoverAlone(Payload.Decoded memory payload, bytes calldata signature)
        private
        view
        returns (Recovered memory recovered)
    {
        Snapshot memory snapshot;
        (recovered, snapshot) = _recoverOne(payload, signature, Mode.Alone, address(0));
        if (
            snapshot.imageHash != 0 && snapshot.imageHash != recovered.imageHash
                && recovered.checkpoint <= snapshot.checkpoint
        ) revert UnusedSnapshot(snapshot);
    }

    /// @dev Newest first: the first link signs the payload, each other link signs the update to the
    /// configuration before it, and the last is the wallet's own.
    function _recoverChain(Payload.Decoded memory payload, bytes calldata signature)
        private
        view
        returns (Recovered memory recovered)
    {
        (uint256 flags, uint256 cursor) = signature.u8(0);
        if (flags & ~(FLAG_CHAINED | FLAG_CHECKPOINTER) != 0) revert InvalidSignatureFlag(flags);
        address checkpointer;
        Snapshot memory snapshot;
        if (flags & FLAG_CHECKPOINTER != 0) (checkpointer, snapshot, cursor) = _readSnapshot(signature, cursor);
        if (cursor == signature.length) revert EmptyChain();

        bytes32 opHash;
        uint256 previousCheckpoint = type(uint256).max;
        while (cursor != signature.length) {
            bytes calldata link;
            (link, cursor) = signature.sized(cursor, 3);
            Mode mode = cursor == signature.length ? Mode.EndOfChain : Mode.InChain;
            (recovered,) = _recoverOne(payload, link, mode, checkpointer);

            if (recovered.weight < recovered.threshold) {
                revert LowWeightChainedSignature(link, recovered.threshold, recovered.weight);
            }
            if (recovered.checkpoint >= previousCheckpoint) {
                revert WrongChainedCheckpointOrder(recovered.checkpoint, previousCheckpoint);
            }
            if (previousCheckpoint == type(uint256).max) opHash = recovered.opHash;
            previousCheckpoint = recovered.checkpoint;
            if (snapshot.imageHash == recovered.imageHash) snapshot.imageHash = 0;
            payload = Payload.fromConfigUpdate(recovered.imageHash);
        }
        if (snapshot.imageHash != 0 && recovered.checkpoint <= snapshot.checkpoint) revert UnusedSnapshot(snapshot);
        recovered.opHash = opHash;
    }

    function _recoverOne(Payload.Decoded memory payload, bytes calldata signature, Mode mode, address checkpointer)
        private
        view
        returns (Recovered memory recovered, Snapshot memory snapshot)
    {
        (uint256 flags, uint256 cursor) = signature.u8(0);
        if (flags & FLAG_STATIC != 0) revert InvalidSignatureFlag(flags);
        if (flags & FLAG_CHAINED != 0) revert ChainedSignatureNestedInChainedSignature();
        if (flags & FLAG_CHECKPOINTER != 0) {
            if (mode == Mode.Alone) (checkpointer, snapshot, cursor) = _readSnapshot(signature, cursor);
            else if (mode == Mode.InChain) (checkpointer, cursor) = _readSigner(signature, cursor);
            else revert InvalidSignatureFlag(flags);
        } else if (mode == Mode.InChain) {
            checkpointer = address(0);
        }
        (recovered.checkpoint, cursor) = signature.number(cursor, (flags >> 2) & 0x07);
        (recovered.threshold, cursor) = signature.number(cursor, flags & FLAG_WIDE_THRESHOLD == 0 ? 1 : 2);
        if (recovered.threshold == 0) revert ZeroThreshold();

        payload.noChainId = flags & FLAG_NO_CHAIN_ID != 0;
        recovered.opHash = payload.hash();
        bytes32 root;
        (recovered.weight, root) = _recoverTree(payload, recovered.opHash, signature[cursor:]);

        root = _pair(root, bytes32(recovered.threshold));
        root = _pair(root, bytes32(recovered.checkpoint));
        recovered.imageHash = _pair(root, bytes32(uint256(uint160(checkpointer))));
    }

    function _readSnapshot(bytes calldata signature, uint256 cursor)
        private
        view
        returns (address checkpointer, Snapshot memory snapshot, uint256 next)
    {
        bytes calldata proof;
        (checkpointer, cursor) = _readSigner(signature, cursor);
        (proof, next) = signature.sized(cursor, 3);
        snapshot = ICheckpointer(checkpointer).snapshotFor(address(this), proof);
    }

    // ─── Trees ──────────────────────────────────────────────────────────────────────────────────────

    function _recoverTree(Payload.Decoded memory payload, bytes32 opHash, bytes calldata tree)
        private
        view
        returns (uint256 weight, bytes32 root)
    {
        uint256 cursor;
        while (cursor != tree.length) {
            uint256 tag;
            (tag, cursor) = tree.u8(cursor);
            uint256 free = tag & 0x0f;
            tag >>= 4;

            uint256 added;
            bytes32 node;
            if (tag == TAG_HASH || tag == TAG_ETH_SIGN || tag == TAG_ADDRESS) {
                (added, node, cursor) = _recoverSigner(opHash, tree, cursor, tag, free);
            } else if (tag == TAG_NODE || tag == TAG_SUBDIGEST || tag == TAG_ANY_ADDRESS_SUBDIGEST) {
                if (free != 0) revert InvalidSignatureFlag((tag << 4) | free);
                bool approved;
                (approved, node, cursor) = _recoverHash(payload, opHash, tree, cursor, tag);
                // An approved digest sets the weight instead of adding to it.
                if (approved) weight = type(uint256).max;
            } else if (tag == TAG_BRANCH) {
                // As the first item it would be hashed with an empty left side.
                if (root == 0) revert MalformedTree();
                bytes calldata inner;
                (inner, cursor) = tree.sized(cursor, free);
                (added, node) = _recoverTree(payload, opHash, inner);
            } else if (tag == TAG_NESTED) {
                (added, node, cursor) = _recoverNested(payload, opHash, tree, cursor, free);
            } else {
                (added, node, cursor) = _recoverContract(payload, opHash, tree, cursor, tag, free);
            }
            weight += added;
            root = root == 0 ? node : _pair(root, node);
        }
        if (root == 0) revert MalformedTree();
    }

    function _recoverSigner(bytes32 opHash, bytes calldata tree, uint256 cursor, uint256 tag, uint256 weight)
        private
        pure
        returns (uint256 added, bytes32 node, uint256 next)
    {
        if (weight == 0) (weight, cursor) = tree.u8(cursor);
        address signer;
        if (tag == TAG_ADDRESS) {
            (signer, next) = _readSigner(tree, cursor);
        } else {
            if (tag == TAG_ETH_SIGN) {
                opHash = keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", opHash));
            }
            (signer, next) = _readEcdsa(opHash, tree, cursor);
            added = weight;
        }
        node = _signerLeaf(signer, weight);
    }

    function _recoverHash(
        Payload.Decoded memory payload,
        bytes32 opHash,
        bytes calldata tree,
        uint256 cursor,
        uint256 tag
    ) private view returns (bool approved, bytes32 node, uint256 next) {
        bytes32 value;
        (value, next) = tree.word(cursor);
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

    function _recoverNested(
        Payload.Decoded memory payload,
        bytes32 opHash,
        bytes calldata tree,
        uint256 cursor,
        uint256 free
    ) private view returns (uint256 added, bytes32 node, uint256 next) {
        uint256 weight = free >> 2;
        uint256 threshold = free & 0x03;
        if (weight == 0) (weight, cursor) = tree.u8(cursor);
        if (threshold == 0) (threshold, cursor) = tree.number(cursor, 2);
        if (threshold == 0) revert ZeroThreshold();
        bytes calldata inner;
        (inner, next) = tree.sized(cursor, 3);
        (uint256 reached, bytes32 root) = _recoverTree(payload, opHash, inner);
        if (reached >= threshold) added = weight;
        node = keccak256(abi.encodePacked("Sequence nested config:\n", root, threshold, weight));
    }

    function _recoverContract(
        Payload.Decoded memory payload,
        bytes32 opHash,
        bytes calldata tree,
        uint256 cursor,
        uint256 tag,
        uint256 free
    ) private view returns (uint256 weight, bytes32 node, uint256 next) {
        if (tag != TAG_ERC1271 && tag != TAG_SAPIENT && tag != TAG_SAPIENT_COMPACT) {
            revert InvalidSignatureFlag(tag);
        }
        weight = free & 0x03;
        if (weight == 0) (weight, cursor) = tree.u8(cursor);
        address signer;
        bytes calldata data;
        (signer, cursor) = _readSigner(tree, cursor);
        (data, next) = tree.sized(cursor, free >> 2);

        if (tag == TAG_ERC1271) {
            if (IERC1271(signer).isValidSignature(opHash, data) != ERC1271_MAGIC) {
                revert InvalidERC1271Signature(opHash, signer, data);
            }
            node = _signerLeaf(signer, weight);
        } else {
            bytes32 imageHash = tag == TAG_SAPIENT
                ? ISapient(signer).recoverSapientSignature(payload, data)
                : ISapientCompact(signer).recoverSapientSignatureCompact(opHash, data);
            node = keccak256(abi.encodePacked("Sequence sapient config:\n", signer, weight, imageHash));
        }
    }

    // ─── Parts ──────────────────────────────────────────────────────────────────────────────────────

    function _readSigner(bytes calldata data, uint256 cursor) private pure returns (address signer, uint256 next) {
        (signer, next) = data.account(cursor);
        if (signer == address(0)) revert ZeroSigner();
    }

    /// @dev ERC-2098: the top bit of `s` is the parity.
    function _readEcdsa(bytes32 digest, bytes calldata data, uint256 cursor)
        private
        pure
        returns (address signer, uint256 next)
    {
        bytes32 r;
        bytes32 parityAndS;
        (r, cursor) = data.word(cursor);
        (parityAndS, next) = data.word(cursor);
        uint256 s = uint256(parityAndS) & type(uint256).max >> 1;
        if (s > HALF_ORDER) revert InvalidEcdsaSignature();
        signer = ecrecover(digest, uint8(27 + (uint256(parityAndS) >> 255)), r, bytes32(s));
        if (signer == address(0)) revert InvalidEcdsaSignature();
    }

    function _signerLeaf(address signer, uint256 weight) private pure returns (bytes32) {
        return keccak256(abi.encodePacked("Sequence signer:\n", signer, weight));
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
