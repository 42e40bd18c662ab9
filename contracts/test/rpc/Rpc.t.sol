// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Format} from "../Format.sol";
import {Call, Decoded, IWallet} from "../IWallet.sol";
import {Attestation, AuthData, CurveVm, IRecovery, ISessions} from "../extensions/IExtensions.sol";
import {RpcBase} from "./RpcBase.sol";

/// @notice Accepts the implicit sessions of everybody.
contract Open {
    uint256 public calls;

    function acceptImplicitRequest(address wallet, Attestation calldata a, Call calldata)
        external
        pure
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(keccak256("acceptImplicitRequest"), wallet, a.audienceHash, a.issuerHash));
    }

    function work() external {
        calls++;
    }
}

/// @notice Configurations, signatures and payloads.
contract RpcWalletTest is RpcBase {
    using Format for Decoded;

    string private config;
    IWallet private wallet;

    function setUp() public override {
        super.setUp();
        string memory owners = string.concat("nested:1:1:(signer:", str(owner), ":1)");
        config = newConfig(2, 0, string.concat(owners, " signer:", str(guard), ":1 subdigest:", str(bytes32(uint256(7)))));
        wallet = IWallet(factory.deploy(stage1, imageOf(config)));
        token.mint(address(wallet), 1000);
    }

    function test_the_image_hash_is_that_of_the_format() external {
        bytes32 right = Format.pair(Format.signer(guard, 1), Format.subdigest(bytes32(uint256(7))));
        bytes32 root = Format.pair(Format.nested(Format.signer(owner, 1), 1, 1), right);
        same(imageOf(config), Format.image(root, 2, 0, address(0)), "image hash");
    }

    function test_the_address_is_where_the_wallet_is() external {
        string memory parts =
            join(text("imageHash", str(imageOf(config))), text("factory", str(address(factory))), text("module", str(stage1)));
        same(address(bytes20(ask("address_calculate", parts))), address(wallet), "address");
    }

    function test_hashes_are_those_of_the_format() external {
        Decoded memory payload = transferPayload(wallet);
        payload.parentWallets = new address[](2);
        (payload.parentWallets[0], payload.parentWallets[1]) = (owner, guard);
        for (uint256 chain; chain < 3; ++chain) {
            same(hashBy(payload, address(wallet), chain), payload.hash(address(wallet), chain), "calls");
            Decoded memory update = Format.update(keccak256("next"));
            same(hashBy(update, address(wallet), chain), update.hash(address(wallet), chain), "update");
        }
    }

    function test_a_signed_call_is_executed() external {
        Decoded memory payload = transferPayload(wallet);
        bytes32 hash = hashBy(payload, address(wallet), block.chainid);
        string memory parts = string.concat(
            part(OWNER, "hash", hash),
            " ",
            part(GUARD, "eth_sign", keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", hash)))
        );
        wallet.execute(packed(payload), signature(config, parts, true));
        same(received(), 100, "not received");
    }

    function test_random_trees_recover_to_their_image_hash() external {
        Decoded memory payload = transferPayload(wallet);
        string[3] memory shapes = ["left", "right", "none"];
        for (uint256 seed; seed < 30; ++seed) {
            string memory size = join(text("seed", str(seed)), raw("maxDepth", str(seed % 8)));
            string memory tree = askJson(
                "devTools_randomConfig", join(size, text("skewed", shapes[seed % 3]), raw("minThresholdOnNested", "1"))
            );
            bytes memory unsigned = ask("config_encode", raw("input", tree));
            (, uint256 weight,, bytes32 image,,) = wallet.recoverPartialSignature(payload, unsigned);
            same(image, imageOf(tree), "image hash");
            same(weight, 0, "weight");
        }
    }

    function test_an_unsigned_configuration_shows_its_tree_and_approves_nothing() external {
        bytes memory unsigned = ask("config_encode", raw("input", config));
        Decoded memory payload = transferPayload(wallet);
        bytes memory calls = packed(payload);
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidSignatureWeight.selector, 2, 0));
        wallet.execute(calls, unsigned);
    }

    function test_an_updated_configuration_is_executed_by_a_chain() external {
        string memory next = newConfig(1, 1, string.concat("signer:", str(vm.addr(STRANGER)), ":1"));
        Decoded memory payload = transferPayload(wallet);
        bytes32 update = hashBy(Format.update(imageOf(next)), address(wallet), 0);
        bytes memory newest =
            signature(next, part(STRANGER, "hash", hashBy(payload, address(wallet), block.chainid)), true);
        string memory parts = string.concat(part(OWNER, "hash", update), " ", part(GUARD, "hash", update));
        string memory both = string.concat('["', str(newest), '","', str(signature(config, parts, false)), '"]');
        wallet.execute(packed(payload), ask("signature_concat", raw("signatures", both)));
        same(received(), 100, "not received");
    }
}

/// @notice Sessions.
contract RpcSessionsTest is RpcBase {
    uint256 private constant IDENTITY = 0x1d;
    uint256 private constant SESSION = 0x5e55;

    ISessions private sessions;
    Open private app;

    function setUp() public override {
        super.setUp();
        sessions = ISessions(extension("Sessions"));
        app = new Open();
    }

    function permission() private view returns (string memory) {
        string memory mask = str(bytes32(type(uint256).max));
        string memory atMost100 = join(
            join('{"cumulative":false,"operation":3', text("offset", "36"), text("mask", mask)),
            string.concat(text("value", str(bytes32(uint256(100)))), "}")
        );
        return string.concat("{", text("target", str(address(token))), ',"rules":[', atMost100, "]}");
    }

    function topology() private returns (string memory tree) {
        tree = askJson("session_empty", text("identitySigner", str(vm.addr(IDENTITY))));
        string memory session = string.concat(
            join(text("signer", str(vm.addr(SESSION))), text("chainId", str(block.chainid)), text("valueLimit", "0")),
            ",",
            join(text("deadline", "0"), string.concat('"permissions":[', permission(), "]"))
        );
        string memory params = join(string.concat('"explicitSession":{', session, "}"), raw("sessionTopology", tree));
        tree = askJson("session_explicit_add", params);
        params = join(text("blacklistAddress", str(guard)), raw("sessionTopology", tree));
        tree = askJson("session_implicit_addBlacklistAddress", params);
    }

    /// @dev A wallet that the sessions alone can use, and its configuration.
    function walletWith(string memory tree) private returns (IWallet wallet, string memory config) {
        bytes32 root = askWord("session_imageHash", raw("sessionTopology", tree));
        config = newConfig(1, 0, string.concat("sapient:", str(root), ":", str(address(sessions)), ":1"));
        wallet = IWallet(factory.deploy(stage1, imageOf(config)));
        token.mint(address(wallet), 1000);
    }

    function execute(IWallet wallet, string memory config, Decoded memory payload, string memory calls) private {
        bytes memory data = ask("session_encodeCallSignatures", calls);
        string memory parts = string.concat(str(address(sessions)), ":sapient:", str(data));
        wallet.execute(packed(payload), signature(config, parts, true));
    }

    function callHash(Decoded memory payload, IWallet wallet) private returns (bytes32) {
        return keccak256(abi.encode(hashBy(payload, address(wallet), block.chainid), uint256(0)));
    }

    function test_an_explicit_call_is_executed() external {
        string memory tree = topology();
        (IWallet wallet, string memory config) = walletWith(tree);
        Decoded memory payload = transferPayload(wallet);
        string memory call_ = join(text("permissionIndex", "0"), text("sessionSignature", rsv(SESSION, callHash(payload, wallet))));
        string memory signers = string.concat('"explicitSigners":["', str(vm.addr(SESSION)), '"],"implicitSigners":[]');
        execute(
            wallet,
            config,
            payload,
            join(raw("sessionTopology", tree), string.concat('"callSignatures":[{', call_, "}]"), signers)
        );
        same(received(), 100, "not received");
    }

    function test_an_implicit_call_is_executed() external {
        string memory tree = topology();
        (IWallet wallet, string memory config) = walletWith(tree);
        Decoded memory payload = Format.calls(list(call(address(app), abi.encodeCall(app.work, ()))), 0, 0);
        string memory call_ = implicitCall(callHash(payload, wallet));
        string memory signers = string.concat('"explicitSigners":[],"implicitSigners":["', str(vm.addr(STRANGER)), '"]');
        execute(
            wallet,
            config,
            payload,
            join(raw("sessionTopology", tree), string.concat('"callSignatures":[{', call_, "}]"), signers)
        );
        same(app.calls(), 1, "not called");
    }

    function implicitCall(bytes32 hash) private pure returns (string memory) {
        bytes memory attested = abi.encodePacked(
            vm.addr(STRANGER), bytes4(0x00000002), keccak256("issuer"), keccak256("audience"), uint24(2), hex"0304"
        );
        attested = abi.encodePacked(attested, uint24(11), "https://x.y", uint64(1_700_000_000));
        string memory fields = join(
            join(text("approvedSigner", str(vm.addr(STRANGER))), text("identityType", "0x00000002")),
            join(text("issuerHash", str(keccak256("issuer"))), text("audienceHash", str(keccak256("audience")))),
            '"applicationData":"0x0304","authData":{"redirectUrl":"https://x.y","issuedAt":"1700000000"}'
        );
        return join(
            string.concat('"attestation":{', fields, "}"),
            text("identitySignature", rsv(IDENTITY, keccak256(attested))),
            text("sessionSignature", rsv(STRANGER, hash))
        );
    }

    function test_the_encoded_tree_has_the_root() external {
        string memory empty = askJson("session_empty", text("identitySigner", str(vm.addr(IDENTITY))));
        bytes memory wire = ask("session_encodeTopology", raw("sessionTopology", empty));
        bytes memory expected = abi.encodePacked(hex"21163040", vm.addr(IDENTITY));
        same(keccak256(wire), keccak256(expected), "wire");
        bytes32 root = askWord("session_imageHash", raw("sessionTopology", empty));
        same(root, Format.pair(keccak256(hex"03"), keccak256(abi.encodePacked(hex"04", vm.addr(IDENTITY)))), "root");
    }
}

/// @notice Recovery.
contract RpcRecoveryTest is RpcBase {
    uint256 private constant HEIR = 0x4e14;
    uint256 private constant NOW = 1_800_000_000;
    uint256 private constant DELAY = 3 days;

    function test_a_queued_payload_is_executed_after_its_delay() external {
        machine.warp(NOW);
        IRecovery recovery = IRecovery(extension("Recovery"));
        address heir = vm.addr(HEIR);
        string memory leaves = text(
            "leaves",
            string.concat(
                "signer:", str(guard), ":5:0 signer:", str(heir), ":", str(DELAY), ":0 signer:", str(owner), ":9:1"
            )
        );
        bytes32 root = askWord("recovery_hashFromLeaves", leaves);
        bytes memory trimmed = ask("recovery_trim", join(leaves, text("signer", str(heir))));
        same(askWord("recovery_hashEncoded", text("encoded", str(trimmed))), root, "trimming changes the root");
        bytes memory whole = ask("recovery_encode", leaves);
        same(askWord("recovery_hashEncoded", text("encoded", str(whole))), root, "encoding changes the root");

        string memory config = newConfig(
            1,
            0,
            string.concat("signer:", str(owner), ":1 sapient:", str(root), ":", str(address(recovery)), ":255")
        );
        IWallet wallet = IWallet(factory.deploy(stage1, imageOf(config)));
        token.mint(address(wallet), 1000);
        Decoded memory payload = transferPayload(wallet);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(HEIR, recovery.recoveryPayloadHash(address(wallet), payload));
        recovery.queuePayload(address(wallet), heir, payload, Format.compact(v, r, s));
        machine.warp(NOW + DELAY);
        string memory parts = string.concat(str(address(recovery)), ":sapient_compact:", str(trimmed));
        wallet.execute(packed(payload), signature(config, parts, true));
        same(received(), 100, "not received");
    }
}

/// @notice Passkeys.
contract RpcPasskeysTest is RpcBase {
    CurveVm private constant curve = CurveVm(address(vm));
    uint256 private constant KEY = 0x9a55;
    uint256 private constant ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
    bytes private constant ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    function key(string memory metadata) private pure returns (string memory) {
        (uint256 x, uint256 y) = curve.publicKeyP256(KEY);
        return string.concat(
            join(text("x", str(bytes32(x))), text("y", str(bytes32(y))), raw("requireUserVerification", "true")), metadata
        );
    }

    function clientData(bytes32 challenge) private pure returns (string memory) {
        bytes memory out = new bytes(43);
        for (uint256 i; i < 43; ++i) {
            uint256 six = i == 42 ? (uint256(challenge) & 0x0f) << 2 : uint256(challenge) >> (250 - 6 * i) & 0x3f;
            out[i] = ALPHABET[six];
        }
        return string.concat('{"type":"webauthn.get","challenge":"', string(out), '","origin":"https://app.example"}');
    }

    function test_a_passkey_without_and_with_metadata_executes() external {
        executes("", "false");
        executes(string.concat(",", text("credentialId", "cred")), "true");
    }

    function executes(string memory metadata, string memory embed) private {
        address passkeys = extension_();
        bytes32 root = askWord("passkeys_computeRoot", key(metadata));
        string memory config = newConfig(1, 0, string.concat("sapient:", str(root), ":", str(passkeys), ":1"));
        IWallet wallet = IWallet(factory.deploy(stage1, imageOf(config)));
        token.mint(address(wallet), 1000);
        Decoded memory payload = transferPayload(wallet);
        uint256 before = received();
        bytes memory data = assertion(hashBy(payload, address(wallet), block.chainid), metadata, embed);
        string memory parts = string.concat(str(passkeys), ":sapient_compact:", str(data));
        wallet.execute(packed(payload), signature(config, parts, true));
        same(received(), before + 100, "not received");
    }

    address private deployed;

    function extension_() private returns (address) {
        if (deployed == address(0)) deployed = extension("Passkeys");
        return deployed;
    }

    function assertion(bytes32 challenge, string memory metadata, string memory embed) private returns (bytes memory) {
        string memory json = clientData(challenge);
        bytes memory authenticatorData = abi.encodePacked(keccak256("rp"), hex"0500000007");
        (bytes32 r, bytes32 s) = curve.signP256(KEY, sha256(bytes.concat(authenticatorData, sha256(bytes(json)))));
        if (uint256(s) > ORDER / 2) s = bytes32(ORDER - uint256(s));
        string memory signed_ = join(
            join(text("r", str(r)), text("s", str(s)), raw("embedMetadata", embed)),
            text("authenticatorData", str(authenticatorData)),
            // As an object: its fields keep their order.
            raw("clientDataJson", json)
        );
        return ask("passkeys_encodeSignature", join(key(metadata), signed_));
    }
}
