// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ISapientCompact} from "../interfaces/ISapient.sol";
import {IWalletView} from "../interfaces/IWalletView.sol";
import {Payload} from "../lib/Payload.sol";
import {RecoveryMembership} from "../lib/RecoveryMembership.sol";
import {RecoveryTree} from "../lib/RecoveryTree.sol";
import {Signers} from "../lib/Signers.sol";

/// @title Recovery
/// @notice Timed recovery: what a recovery signer queued, its wallet accepts after the delay of the signer's
/// leaf, unless a signer of the wallet cancelled it, and until it expires. Units: seconds.
/// @dev The wallet's leaf is sapient compact: this contract, and the root of the recovery tree.
///
/// WARNING: a wallet that is not watched cannot be defended. Whoever holds a recovery key can take the wallet
/// over after the delay, if nobody cancels. Signers below the wallet's threshold can cancel
/// `LONE_CANCELLATIONS` times for each recovery signer, so that none of them alone can keep a wallet from being
/// recovered for ever; in that time the others must change the configuration.
contract Recovery is ISapientCompact {
    using Payload for Payload.Decoded;

    // ─── Events ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice A payload was queued.
    event NewQueuedPayload(address indexed wallet, address indexed signer, bytes32 payloadHash, uint256 timestamp);
    /// @notice All that `signer` had queued for `wallet` is void.
    event RecoveryCancelled(address indexed wallet, address indexed signer, uint256 number, uint256 timestamp);

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice The signer did not sign the payload for this wallet's recovery.
    error InvalidSignature(address wallet, address signer, bytes signature);
    /// @notice The payload was queued before; each counts once, also after it was cancelled or expired.
    error AlreadyQueued(address wallet, address signer, bytes32 payloadHash);
    /// @notice No visible recovery signer has queued the payload, or its time has not come or is over.
    error QueueNotReady(address wallet, bytes32 payloadHash);
    /// @notice The signature shows no signer of the wallet's configuration.
    error NotASigner(address wallet);
    /// @notice Signers below the threshold have cancelled as often as they can.
    error TooManyLoneCancellations(address wallet, address signer);

    // ─── Constants ──────────────────────────────────────────────────────────────────────────────────

    /// @notice How long a payload is good for once its delay is over.
    uint256 public constant WINDOW = 30 days;
    /// @notice How often signers below the threshold can cancel what one recovery signer queues.
    uint256 public constant LONE_CANCELLATIONS = 3;

    /// @dev keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    bytes32 private constant DOMAIN_TYPE = 0x8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f;
    bytes32 private constant QUEUE_NAME = keccak256("Sequence Wallet - Recovery Mode");
    bytes32 private constant QUEUE_VERSION = keccak256("1");
    bytes32 private constant CANCEL_TYPE =
        keccak256("CancelRecovery(address wallet,address signer,uint256 number)");

    // ─── State ──────────────────────────────────────────────────────────────────────────────────────

    /// @dev What has become of the recoveries of one signer for one wallet.
    struct Cancellations {
        /// What was queued at this time or before is void.
        uint64 until;
        /// How many there were; each signature cancels once.
        uint64 number;
        /// How many of them since the last with full weight were by signers below the threshold.
        uint64 lone;
    }

    /// @notice When `payloadHash` was queued by `signer` for `wallet`; zero if never.
    mapping(address wallet => mapping(address signer => mapping(bytes32 payloadHash => uint256))) public
        timestampForQueuedPayload;
    /// @notice All that `signer` ever queued for `wallet`, in order.
    mapping(address wallet => mapping(address signer => bytes32[])) public queuedPayloadHashes;
    /// @notice The cancellations of what `signer` queued for `wallet`.
    mapping(address wallet => mapping(address signer => Cancellations)) public cancellations;

    // ─── Queue ──────────────────────────────────────────────────────────────────────────────────────

    /// @notice Queues a payload that `signer` signed; anybody may bring it.
    /// @dev Whether `signer` may recover the wallet is judged when the payload is used.
    function queuePayload(
        address wallet,
        address signer,
        Payload.Decoded calldata payload,
        bytes calldata signature
    ) external {
        if (!Signers.signed(signer, recoveryPayloadHash(wallet, payload), signature)) {
            revert InvalidSignature(wallet, signer, signature);
        }
        bytes32 payloadHash = Payload.hashFor(payload, wallet);
        if (timestampForQueuedPayload[wallet][signer][payloadHash] != 0) {
            revert AlreadyQueued(wallet, signer, payloadHash);
        }
        timestampForQueuedPayload[wallet][signer][payloadHash] = block.timestamp;
        queuedPayloadHashes[wallet][signer].push(payloadHash);
        emit NewQueuedPayload(wallet, signer, payloadHash, block.timestamp);
    }

    /// @notice How many payloads `signer` ever queued for `wallet`.
    function totalQueuedPayloads(address wallet, address signer) external view returns (uint256) {
        return queuedPayloadHashes[wallet][signer].length;
    }

    /// @notice What a recovery signer signs to queue `payload` for `wallet`.
    function recoveryPayloadHash(address wallet, Payload.Decoded calldata payload) public view returns (bytes32) {
        uint256 chainId = payload.noChainId ? 0 : block.chainid;
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE, QUEUE_NAME, QUEUE_VERSION, chainId, wallet));
        return keccak256(abi.encodePacked(hex"1901", domain, Payload.structHash(payload)));
    }

    // ─── Cancelling ─────────────────────────────────────────────────────────────────────────────────

    /// @notice Voids all that `signer` has queued for `wallet` so far; anybody may bring the signature.
    /// @dev `signature` is the wallet's, over `cancellationHash` as an ERC-1271 digest, by any part of its
    /// signers. The wallet itself and the recovery signer need none.
    function cancelRecovery(address wallet, address signer, bytes calldata signature) external {
        Cancellations memory state = cancellations[wallet][signer];
        if (msg.sender == wallet) {
            state.lone = 0;
        } else if (msg.sender != signer) {
            Payload.Decoded memory payload = Payload.fromDigest(_cancellationHash(wallet, signer, state.number));
            (uint256 threshold, uint256 weight, bool isValidImage,,,) =
                IWalletView(wallet).recoverPartialSignature(payload, signature);
            if (!isValidImage || weight == 0) revert NotASigner(wallet);
            if (weight >= threshold) state.lone = 0;
            else if (state.lone == LONE_CANCELLATIONS) revert TooManyLoneCancellations(wallet, signer);
            else ++state.lone;
        }
        state.until = uint64(block.timestamp);
        ++state.number;
        cancellations[wallet][signer] = state;
        emit RecoveryCancelled(wallet, signer, state.number, block.timestamp);
    }

    /// @notice What a signer of `wallet` approves to cancel, the next time, what `signer` has queued.
    function cancellationHash(address wallet, address signer) external view returns (bytes32) {
        return _cancellationHash(wallet, signer, cancellations[wallet][signer].number);
    }

    function _cancellationHash(address wallet, address signer, uint256 number) private view returns (bytes32) {
        return RecoveryMembership.typed(
            address(this), keccak256(abi.encode(CANCEL_TYPE, wallet, signer, number))
        );
    }

    // ─── Use ────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc ISapientCompact
    /// @dev `signature` is the recovery tree, pruned to what is needed. One ready leaf suffices. Showing a leaf is
    /// also enough for `RecoveryMembership`, which approves nothing but that the leaf is there.
    function recoverSapientSignatureCompact(bytes32 digest, bytes calldata signature)
        external
        view
        override
        returns (bytes32)
    {
        (bool ready, bytes32 root) = RecoveryTree.fold(signature, _isReady, digest);
        if (!ready) revert QueueNotReady(msg.sender, digest);
        return root;
    }

    /// @dev Whether what `signer` queued for the calling wallet may be used now.
    function _isReady(address signer, uint256 delay, uint256 minTimestamp, bytes32 payloadHash)
        private
        view
        returns (bool)
    {
        uint256 queuedAt = timestampForQueuedPayload[msg.sender][signer][payloadHash];
        if (queuedAt == 0) return payloadHash == _membershipHash(signer);
        if (queuedAt < minTimestamp) return false;
        if (queuedAt <= cancellations[msg.sender][signer].until) return false;
        uint256 age = block.timestamp - queuedAt;
        return age >= delay && age - delay <= WINDOW;
    }

    /// @dev What passes without having been queued: that the calling wallet has `signer`, and no more.
    function _membershipHash(address signer) private view returns (bytes32) {
        bytes32 digest = RecoveryMembership.digest(address(this), msg.sender, signer);
        return Payload.hashFor(Payload.fromDigest(digest), msg.sender);
    }
}
