// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IERC1271} from "../interfaces/IERC1271.sol";
import {ISapient} from "../interfaces/ISapient.sol";
import {Payload} from "../lib/Payload.sol";
import {Signature} from "../lib/Signature.sol";
import {Reader} from "../lib/Reader.sol";

/// @title Auth
/// @notice Who may act for the wallet: signatures of its configuration, for calls, for messages, and for
/// wallets that have this one as a signer.
///
/// WARNING: static signatures are off. A signature with that flag is refused as one that was never stored.
abstract contract Auth is IERC1271, ISapient {
    using Payload for Payload.Decoded;
    using Reader for bytes;

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice The signers' weight does not reach the threshold.
    error InvalidSignatureWeight(uint256 threshold, uint256 weight);
    /// @notice The signature belongs to another configuration.
    error InvalidSignature(Payload.Decoded payload, bytes signature);
    /// @notice The signature belongs to another configuration; asked by a wallet above this one.
    error InvalidSapientSignature(Payload.Decoded payload, bytes signature);
    /// @notice No approval is stored for the payload.
    error InvalidStaticSignatureExpired(bytes32 opHash, uint256 expires);

    /// @dev What a wallet above this one finds in its own tree in place of a root.
    bytes32 private constant SAPIENT_ROOT = bytes32(uint256(1));

    // ─── Configuration ──────────────────────────────────────────────────────────────────────────────

    /// @dev Whether the configuration with this hash is the wallet's.
    function _isValidImage(bytes32 imageHash) internal view virtual returns (bool);

    // ─── Validation ─────────────────────────────────────────────────────────────────────────────────

    /// @dev Sets `payload.noChainId` as the signature says.
    function _validate(Payload.Decoded memory payload, bytes calldata signature)
        internal
        view
        returns (bool valid, bytes32 opHash)
    {
        (uint256 flags,) = signature.u8(0);
        if (flags & Signature.FLAG_STATIC != 0) {
            payload.noChainId = flags & Signature.FLAG_NO_CHAIN_ID != 0;
            revert InvalidStaticSignatureExpired(payload.hash(), 0);
        }
        Signature.Recovered memory recovered = Signature.recover(payload, signature);
        if (recovered.weight < recovered.threshold) {
            revert InvalidSignatureWeight(recovered.threshold, recovered.weight);
        }
        return (_isValidImage(recovered.imageHash), recovered.opHash);
    }

    // ─── Entry points ───────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IERC1271
    /// @dev A signature over `Message{message}` is valid for `keccak256(message)`. Bound to this wallet and
    /// chain: a sibling with the same signers refuses it.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view override returns (bytes4) {
        (bool valid,) = _validate(Payload.fromDigest(hash), signature);
        return valid ? IERC1271.isValidSignature.selector : bytes4(0);
    }

    /// @inheritdoc ISapient
    /// @dev The asking wallet becomes part of what the signers signed.
    function recoverSapientSignature(Payload.Decoded memory payload, bytes calldata signature)
        external
        view
        override
        returns (bytes32)
    {
        uint256 count = payload.parentWallets.length;
        address[] memory parents = new address[](count + 1);
        for (uint256 i; i < count; ++i) {
            parents[i] = payload.parentWallets[i];
        }
        parents[count] = msg.sender;
        payload.parentWallets = parents;

        (bool valid,) = _validate(payload, signature);
        if (!valid) revert InvalidSapientSignature(payload, signature);
        return SAPIENT_ROOT;
    }

    /// @notice Recovers what a signature shows, without judging its weight.
    function recoverPartialSignature(Payload.Decoded memory payload, bytes calldata signature)
        external
        view
        returns (
            uint256 threshold,
            uint256 weight,
            bool isValidImage,
            bytes32 imageHash,
            uint256 checkpoint,
            bytes32 opHash
        )
    {
        Signature.Recovered memory recovered = Signature.recover(payload, signature);
        return (
            recovered.threshold,
            recovered.weight,
            _isValidImage(recovered.imageHash),
            recovered.imageHash,
            recovered.checkpoint,
            recovered.opHash
        );
    }
}
