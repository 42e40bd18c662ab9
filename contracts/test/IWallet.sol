// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

struct Call {
    address to;
    uint256 value;
    bytes data;
    uint256 gasLimit;
    bool delegateCall;
    bool onlyFallback;
    uint256 behaviorOnError;
}

struct Decoded {
    uint8 kind;
    bool noChainId;
    Call[] calls;
    uint256 space;
    uint256 nonce;
    bytes message;
    bytes32 imageHash;
    bytes32 digest;
    address[] parentWallets;
}

struct Snapshot {
    bytes32 imageHash;
    uint256 checkpoint;
}

/// @notice The wallet as others see it, written from the format's description and not from the sources,
/// so that a changed signature in the sources breaks a test.
interface IWallet {
    error BadNonce(uint256 space, uint256 provided, uint256 current);
    error ReentrantCall();
    error OnlySelf(address sender);
    error InvalidSignature(Decoded payload, bytes signature);
    error InvalidSapientSignature(Decoded payload, bytes signature);
    error InvalidSignatureWeight(uint256 threshold, uint256 weight);
    error InvalidSignatureFlag(uint256 flag);
    error InvalidStaticSignatureExpired(bytes32 opHash, uint256 expires);
    error InvalidStaticSignatureWrongCaller(bytes32 opHash, address caller, address expectedCaller);
    error InvalidStaticSignatureLength(uint256 length);
    error ERC4337Disabled();
    error InvalidEntryPoint(address sender);
    error NotSenderCreator(address sender);
    error InvalidERC1271Signature(bytes32 opHash, address signer, bytes signature);
    error InvalidEcdsaSignature();
    error InvalidKind(uint8 kind);
    error InvalidPackedLength();
    error InvalidPackedFlag(uint256 flags);
    error ZeroSigner();
    error ZeroThreshold();
    error MalformedTree();
    error TooDeep();
    error Truncated();
    error EmptyChain();
    error ChainedSignatureNestedInChainedSignature();
    error LowWeightChainedSignature(bytes signature, uint256 threshold, uint256 weight);
    error WrongChainedCheckpointOrder(uint256 checkpoint, uint256 previousCheckpoint);
    error UnusedSnapshot(Snapshot snapshot);
    error Reverted(Decoded payload, uint256 index, bytes returnData);
    error NotEnoughGas(Decoded payload, uint256 index, uint256 gasLeft);
    error ImageHashIsZero();
    error HookAlreadyExists(bytes4 selector);
    error HookDoesNotExist(bytes4 selector);
    error ImplementationHasNoCode(address implementation);
    error DelegateCallNotAllowed(uint256 index);
    error DeployFailed(address mainModule, bytes32 salt);

    event NonceChange(uint256 space, uint256 newNonce);
    event CallSucceeded(bytes32 indexed opHash, uint256 index);
    event CallFailed(bytes32 indexed opHash, uint256 index, bytes returnData);
    event CallAborted(bytes32 indexed opHash, uint256 index, bytes returnData);
    event CallSkipped(bytes32 indexed opHash, uint256 index);
    event StaticSignatureSet(bytes32 opHash, address caller, uint96 expires);
    event ImageHashUpdated(bytes32 newImageHash);
    event ImplementationUpdated(address newImplementation);
    event DefinedHook(bytes4 selector, address implementation);

    function execute(bytes calldata packed, bytes calldata signature) external payable;
    function executeCompact() external payable;
    function selfExecute(bytes calldata packed) external payable;
    function setStaticSignature(bytes32 opHash, address caller, uint96 expires) external payable;
    function getStaticSignature(bytes32 opHash) external view returns (address caller, uint256 expires);
    function validateUserOp(PackedUserOperation calldata userOp, bytes32 userOpHash, uint256 missingAccountFunds)
        external
        returns (uint256);
    function executeUserOp(bytes calldata packed) external payable;
    function readNonce(uint256 space) external view returns (uint256);
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4);
    function recoverSapientSignature(Decoded calldata payload, bytes calldata signature)
        external
        view
        returns (bytes32);
    function recoverPartialSignature(Decoded calldata payload, bytes calldata signature)
        external
        view
        returns (uint256 threshold, uint256 weight, bool valid, bytes32 image, uint256 checkpoint, bytes32 opHash);
    function updateImageHash(bytes32 imageHash) external payable;
    function imageHash() external view returns (bytes32);
    function getImplementation() external view returns (address);
    function updateImplementation(address implementation) external payable;
    function addHook(bytes4 selector, address implementation) external payable;
    function removeHook(bytes4 selector) external payable;
    function readHook(bytes4 selector) external view returns (address);
}

struct PackedUserOperation {
    address sender;
    uint256 nonce;
    bytes initCode;
    bytes callData;
    bytes32 accountGasLimits;
    uint256 preVerificationGas;
    bytes32 gasFees;
    bytes paymasterAndData;
    bytes signature;
}

struct Result {
    uint8 status;
    bytes result;
    uint256 gasUsed;
}

interface IEstimator {
    function estimate(bytes calldata packed, bytes calldata signature) external payable returns (uint256);
}

interface ISimulator {
    function simulate(Call[] calldata calls) external payable returns (Result[] memory);
}

interface IFactory {
    function deploy(address mainModule, bytes32 salt) external payable returns (address);
}

interface ISapientCompact {
    function recoverSapientSignatureCompact(bytes32 digest, bytes calldata signature) external view returns (bytes32);
}

interface ICheckpointer {
    function snapshotFor(address wallet, bytes calldata proof) external view returns (Snapshot memory);
}

interface IDelegatedExtension {
    function handleSequenceDelegateCall(bytes32, uint256, uint256, uint256, uint256, bytes calldata) external;
}
