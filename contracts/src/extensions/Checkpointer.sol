// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ICancellable} from "../interfaces/ICancellable.sol";
import {ICheckpointer, Snapshot} from "../interfaces/ICheckpointer.sol";
import {IWalletView} from "../interfaces/IWalletView.sol";
import {Payload} from "../lib/Payload.sol";
import {Reader} from "../lib/Reader.sol";
import {RecoveryMembership} from "../lib/RecoveryMembership.sol";
import {Signers} from "../lib/Signers.sol";

/// @title Checkpointer
/// @notice Refuses configurations of a wallet that the key machine knows to be out of date, on every chain, from
/// the key machine's signed word about the latest one. Units: Unix seconds.
/// @dev A proof is: image hash (32 bytes), checkpoint (7), issued (8), expires (8), signature of 64 bytes by
/// the key machine (ERC-2098) over the EIP-712 hash of
/// `Attestation(address wallet,bytes32 imageHash,uint256 checkpoint,uint256 issued,uint256 expires)`. Its domain
/// has no chain: the configuration is the same on all.
///
/// WARNING: the key machine can withhold its word, or lie. It cannot freeze a wallet: any signer or recovery
/// signer calls `distrust`, and after `DISTRUST_DELAY` this contract is silent for the wallet whatever the key
/// machine says. A signer who was removed, but whom the configuration on this chain still has, can distrust too:
/// the wallet answers with `trust` within the delay, and updates its image hash on this chain.
contract Checkpointer is ICheckpointer {
    using Reader for bytes;

    // ─── Events ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice A signer of `wallet` distrusts the key machine; from `silentFrom` on it has no say.
    event Distrusted(address indexed wallet, uint256 silentFrom);
    /// @notice The wallet trusts the key machine again.
    event Trusted(address indexed wallet);
    /// @notice The key machine signs with another key from now on.
    event KeyRotated(address indexed previous, address indexed next, uint256 number);

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice The proof is not the key machine's word about this wallet.
    error InvalidAttestation(address wallet);
    /// @notice The proof is from the future, too long-lived, or has run out.
    error AttestationOutOfTime(uint256 issued, uint256 expires);
    /// @notice The signature shows no signer of the wallet's configuration.
    error NotASigner(address wallet);
    /// @notice The recovery signer did not ask for it.
    error NotSignedByRecoverySigner(address signer);
    /// @notice The key did not sign the change of key, or address zero is to be the next.
    error InvalidRotation();
    /// @notice The key machine's address is zero.
    error ZeroKey();
    /// @notice The recovery contract must be there before.
    error DependencyHasNoCode(address dependency);

    // ─── Constants ──────────────────────────────────────────────────────────────────────────────────

    /// @notice How long after it is distrusted the key machine still has a say.
    uint256 public constant DISTRUST_DELAY = 3 days;
    /// @notice The longest life of an attestation.
    uint256 public constant MAX_LIFETIME = 1 days;
    /// @notice How far an attestation may be issued ahead of this chain's clock.
    uint256 public constant CLOCK_SKEW = 5 minutes;

    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,address verifyingContract)");
    bytes32 private constant CHAIN_DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME = keccak256("Keyfold Checkpointer");
    bytes32 private constant VERSION = keccak256("1");
    bytes32 private constant ATTESTATION_TYPE = keccak256(
        "Attestation(address wallet,bytes32 imageHash,uint256 checkpoint,uint256 issued,uint256 expires)"
    );
    bytes32 private constant ROTATION_TYPE = keccak256("Rotation(address next,uint256 number)");
    bytes32 private constant DISTRUST_TYPE = keccak256("Distrust(address wallet,uint256 number)");

    // ─── State ──────────────────────────────────────────────────────────────────────────────────────

    /// @notice The recovery contract whose cancellations need no word of the key machine.
    ICancellable public immutable RECOVERY;
    /// @notice The key machine's signing key.
    address public key;
    /// @notice How often it was changed.
    uint256 public rotations;
    /// @notice From when on the key machine has no say about a wallet; zero while it is trusted.
    mapping(address wallet => uint256) public silentFrom;
    /// @notice How often a wallet's signers distrusted or trusted: each signature counts once.
    mapping(address wallet => uint256) public changes;
    /// @dev The wallet that is being asked about its signers: that question needs no snapshot.
    address private transient asked;

    /// @param initialKey The key machine's signing key.
    /// @param recovery The recovery contract of the wallets.
    constructor(address initialKey, address recovery) {
        if (initialKey == address(0)) revert ZeroKey();
        if (recovery.code.length == 0) revert DependencyHasNoCode(recovery);
        key = initialKey;
        RECOVERY = ICancellable(recovery);
    }

    // ─── Snapshots ──────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc ICheckpointer
    function snapshotFor(address wallet, bytes calldata proof)
        external
        view
        override
        returns (Snapshot memory snapshot)
    {
        if (wallet == asked || isSilent(wallet)) return snapshot;
        uint256 issued;
        uint256 expires;
        uint256 cursor;
        (snapshot.imageHash, cursor) = proof.word(0);
        (snapshot.checkpoint, cursor) = proof.number(cursor, 7);
        (issued, cursor) = proof.number(cursor, 8);
        (expires, cursor) = proof.number(cursor, 8);
        bytes32 digest = attestationHash(wallet, snapshot.imageHash, snapshot.checkpoint, issued, expires);
        // A word about no configuration would silence this contract.
        if (snapshot.imageHash == 0 || !_signedByKey(digest, proof[cursor:])) revert InvalidAttestation(wallet);
        if (
            issued > block.timestamp + CLOCK_SKEW || expires < block.timestamp || expires < issued
                || expires - issued > MAX_LIFETIME
        ) revert AttestationOutOfTime(issued, expires);
    }

    /// @notice What the key machine signs about a wallet.
    function attestationHash(address wallet, bytes32 imageHash, uint256 checkpoint, uint256 issued, uint256 expires)
        public
        view
        returns (bytes32)
    {
        return _typed(
            _domain(), keccak256(abi.encode(ATTESTATION_TYPE, wallet, imageHash, checkpoint, issued, expires))
        );
    }

    /// @notice Whether the key machine has no say about `wallet` any more.
    function isSilent(address wallet) public view returns (bool) {
        uint256 from = silentFrom[wallet];
        return from != 0 && block.timestamp >= from;
    }

    // ─── Distrust ───────────────────────────────────────────────────────────────────────────────────

    /// @notice Begins to take the key machine's say about `wallet` away; anybody may bring the signature.
    /// @dev `signature` is the wallet's, over `distrustHash` as an ERC-1271 digest, by any part of its signers.
    function distrust(address wallet, bytes calldata signature) external {
        _requireSigner(wallet, distrustHash(wallet), signature);
        _distrust(wallet);
    }

    /// @notice The same by a recovery signer, who has no weight before a delay is over.
    /// @param recovery The recovery contract that the wallet's configuration names.
    /// @param proof The wallet's signature that shows the recovery leaf, and in it `signer`.
    /// @param signature By `signer` over `distrustHash`; empty if it is the caller.
    function distrustByRecovery(
        address wallet,
        address recovery,
        address signer,
        bytes calldata proof,
        bytes calldata signature
    ) external {
        if (msg.sender != signer && !Signers.signed(signer, distrustHash(wallet), signature)) {
            revert NotSignedByRecoverySigner(signer);
        }
        // Any contract can be named here; only the wallet's configuration gives weight to its word.
        _requireSigner(wallet, RecoveryMembership.digest(recovery, wallet, signer), proof);
        _distrust(wallet);
    }

    /// @notice Cancels what a recovery signer queued, as `RECOVERY.cancelRecovery` does, without the key machine's
    /// say: otherwise a key machine that is away, or works with the thief of a recovery key, could keep the wallet's
    /// signers from cancelling until it is too late.
    /// @dev The recovery contract asks the wallet what the signature shows, by a static call, and nobody else. It is
    /// fixed, for whoever is called here finds the wallet without its checkpointer.
    function cancelRecovery(address wallet, address signer, bytes calldata signature) external {
        asked = wallet;
        RECOVERY.cancelRecovery(wallet, signer, signature);
        asked = address(0);
    }

    /// @notice The calling wallet trusts the key machine again.
    function trust() external {
        delete silentFrom[msg.sender];
        ++changes[msg.sender];
        emit Trusted(msg.sender);
    }

    /// @notice What a signer of `wallet` approves to distrust the key machine, the next time.
    function distrustHash(address wallet) public view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(CHAIN_DOMAIN_TYPE, NAME, VERSION, block.chainid, address(this)));
        return _typed(domain, keccak256(abi.encode(DISTRUST_TYPE, wallet, changes[wallet])));
    }

    function _distrust(address wallet) private {
        ++changes[wallet];
        // Distrusting again does not start the delay again.
        if (silentFrom[wallet] != 0) return;
        silentFrom[wallet] = block.timestamp + DISTRUST_DELAY;
        emit Distrusted(wallet, block.timestamp + DISTRUST_DELAY);
    }

    function _requireSigner(address wallet, bytes32 digest, bytes calldata signature) private {
        asked = wallet;
        (, uint256 weight, bool isValidImage,,,) =
            IWalletView(wallet).recoverPartialSignature(Payload.fromDigest(digest), signature);
        asked = address(0);
        if (!isValidImage || weight == 0) revert NotASigner(wallet);
    }

    // ─── The key machine's key ──────────────────────────────────────────────────────────────────────

    /// @notice Changes the key machine's key; anybody may bring the present key's signature.
    function rotate(address next, bytes calldata signature) external {
        bytes32 digest = _typed(_domain(), keccak256(abi.encode(ROTATION_TYPE, next, rotations)));
        if (next == address(0) || !_signedByKey(digest, signature)) revert InvalidRotation();
        emit KeyRotated(key, next, ++rotations);
        key = next;
    }

    function _signedByKey(bytes32 digest, bytes calldata signature) private view returns (bool) {
        if (signature.length != 64) return false;
        (bytes32 r, bytes32 parityAndS) = abi.decode(signature, (bytes32, bytes32));
        // The key is never address zero, so a failed recovery is never it.
        return Signers.recover(digest, r, parityAndS) == key;
    }

    // ─── EIP-712 ────────────────────────────────────────────────────────────────────────────────────

    function _domain() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, NAME, VERSION, address(this)));
    }

    function _typed(bytes32 domain, bytes32 structHash) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
