// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Format} from "../Format.sol";
import {Decoded, ISapientCompact, IWallet} from "../IWallet.sol";
import {CurveVm, IPasskeys} from "./IExtensions.sol";

contract PasskeysTest is Base {
    using Format for Decoded;

    CurveVm internal constant curve = CurveVm(address(vm));
    uint256 internal constant KEY = 0x9a55;
    uint256 internal constant ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
    bytes internal constant ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    IPasskeys internal passkeys;
    IWallet internal wallet;
    bytes32 internal x;
    bytes32 internal y;

    /// @dev What an authenticator and a browser answer, and where things are said to stand.
    struct Assertion {
        bytes1 header;
        bytes32 metadata;
        bytes authenticatorData;
        bytes clientData;
        uint256 challengeIndex;
        uint256 typeIndex;
        bytes32 r;
        bytes32 s;
    }

    function setUp() public override {
        super.setUp();
        bytes memory code = vm.getCode("artifacts/Passkeys.json");
        (, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), code));
        passkeys = IPasskeys(address(bytes20(answer)));
        (uint256 rawX, uint256 rawY) = curve.publicKeyP256(KEY);
        (x, y) = (bytes32(rawX), bytes32(rawY));
        wallet = walletOf(Format.sapient(address(passkeys), 1, root(x, y, true, 0)), 1);
        token.mint(address(wallet), 1000);
    }

    // ─── What the tests make ────────────────────────────────────────────────────────────────────────

    function root(bytes32 keyX, bytes32 keyY, bool verified, bytes32 metadata) internal pure returns (bytes32) {
        return Format.pair(Format.pair(keyX, keyY), Format.pair(bytes32(uint256(verified ? 1 : 0)), metadata));
    }

    /// @dev RFC 4648 section 5, of 32 bytes, without padding.
    function base64url(bytes32 value) internal pure returns (bytes memory text) {
        text = new bytes(43);
        for (uint256 i; i < 43; ++i) {
            // The last group has four bits only.
            uint256 six = i == 42 ? (uint256(value) & 0x0f) << 2 : uint256(value) >> (250 - 6 * i) & 0x3f;
            text[i] = ALPHABET[six];
        }
    }

    function find(bytes memory text, bytes memory part) internal pure returns (uint256) {
        for (uint256 i; i + part.length <= text.length; ++i) {
            bool equal = true;
            for (uint256 j; j < part.length && equal; ++j) equal = text[i + j] == part[j];
            if (equal) return i;
        }
        revert("not found");
    }

    function clientData(bytes32 digest) internal pure returns (bytes memory) {
        return bytes.concat(
            '{"type":"webauthn.get","challenge":"', base64url(digest), '","origin":"https://app.example","crossOrigin":false}'
        );
    }

    function assertion(bytes32 digest) internal pure returns (Assertion memory a) {
        a.header = 0x01;
        // rpIdHash; user present and verified; counter.
        a.authenticatorData = abi.encodePacked(keccak256("rp"), hex"0500000007");
        a.clientData = clientData(digest);
        a.challengeIndex = find(a.clientData, '"challenge"');
        a.typeIndex = find(a.clientData, '"type"');
        sign(a, KEY);
    }

    function sign(Assertion memory a, uint256 key) internal pure {
        (bytes32 r, bytes32 s) = curve.signP256(key, sha256(bytes.concat(a.authenticatorData, sha256(a.clientData))));
        (a.r, a.s) = (r, uint256(s) > ORDER / 2 ? bytes32(ORDER - uint256(s)) : s);
    }

    function encode(Assertion memory a) internal view returns (bytes memory) {
        bytes memory front = a.header & 0x40 == 0 ? abi.encodePacked(a.header) : abi.encodePacked(a.header, a.metadata);
        return abi.encodePacked(
            front,
            uint8(a.authenticatorData.length),
            a.authenticatorData,
            uint8(a.clientData.length),
            a.clientData,
            uint8(a.challengeIndex),
            uint8(a.typeIndex),
            a.r,
            a.s,
            x,
            y
        );
    }

    function recovered(bytes32 digest, Assertion memory a) internal view returns (bytes32) {
        return passkeys.recoverSapientSignatureCompact(digest, encode(a));
    }

    function refuses(bytes32 digest, Assertion memory a, bytes4 selector) internal {
        bytes memory signature = encode(a);
        vm.expectPartialRevert(selector);
        passkeys.recoverSapientSignatureCompact(digest, signature);
    }

    // ─── The way it is meant ────────────────────────────────────────────────────────────────────────

    function test_a_passkey_executes_for_its_wallet() external {
        Decoded memory payload = transferPayload(wallet);
        bytes memory signature = encode(assertion(hashOf(payload, wallet)));
        wallet.execute(
            payload.pack(),
            abi.encodePacked(Format.head(1), hex"a9", address(passkeys), uint16(signature.length), signature)
        );
        same(received(), 100, "not received");
    }

    function test_the_roots_of_the_formats_vectors() external pure {
        // Section 12 of the format: x = 0a…, y = 0b…, with user verification.
        bytes32 vectorX = 0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a;
        bytes32 vectorY = 0x0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b;
        same(
            root(vectorX, vectorY, true, 0),
            0x45a76cf0a665bdd6e9ba7adc0675c2de79215be50739d5eea5502c9bd6e9565e,
            "without metadata"
        );
        same(
            root(vectorX, vectorY, true, keccak256("cred")),
            0xf3d563b57e0fc6dc763b6e39a06e880cdb1261aa3ca7479334face9c19ac2efe,
            "with metadata"
        );
    }

    function test_the_root_names_key_verification_and_metadata() external view {
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        same(recovered(digest, a), root(x, y, true, 0), "verified");
        a.header = 0x00;
        same(recovered(digest, a), root(x, y, false, 0), "not required");
        a.header = 0x41;
        a.metadata = keccak256("cred");
        same(recovered(digest, a), root(x, y, true, a.metadata), "metadata");
    }

    function test_wide_lengths_and_indexes() external view {
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        bytes memory signature = abi.encodePacked(
            bytes1(0x1f),
            uint16(a.authenticatorData.length),
            a.authenticatorData,
            uint16(a.clientData.length),
            a.clientData,
            uint16(a.challengeIndex),
            uint16(a.typeIndex),
            abi.encodePacked(a.r, a.s, x, y)
        );
        same(passkeys.recoverSapientSignatureCompact(digest, signature), root(x, y, true, 0), "root");
    }

    /// @dev The precompile is asked before the curve is computed: what it accepts is accepted.
    function test_the_precompile_is_asked_first() external {
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        uint256 before = gasleft();
        recovered(digest, a);
        uint256 computed = before - gasleft();
        // A contract that answers 1 to anything stands where the precompile would be.
        vm.etch(address(0x100), hex"600160005260206000f3");
        before = gasleft();
        same(recovered(digest, a), root(x, y, true, 0), "root");
        check(before - gasleft() < computed / 2, "computed all the same");
    }

    // ─── What is refused ────────────────────────────────────────────────────────────────────────────

    function test_an_assertion_over_another_payload_is_refused() external {
        refuses(keccak256("another"), assertion(keccak256("one")), IPasskeys.InvalidClientData.selector);
    }

    function test_a_registration_is_no_assertion() external {
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        a.clientData = bytes.concat('{"type":"webauthn.create","challenge":"', base64url(digest), '"}');
        a.challengeIndex = find(a.clientData, '"challenge"');
        sign(a, KEY);
        refuses(digest, a, IPasskeys.InvalidClientData.selector);
    }

    function test_a_challenge_inside_another_field_is_refused() external {
        // What stands in a string of JSON has its quotation marks escaped.
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        a.clientData = bytes.concat(
            '{"type":"webauthn.get","challenge":"AAAA","origin":"https://x/\\"challenge\\":\\"', base64url(digest), '\\""}'
        );
        a.challengeIndex = find(a.clientData, bytes.concat('"challenge\\":\\"', base64url(digest)));
        sign(a, KEY);
        refuses(digest, a, IPasskeys.InvalidClientData.selector);
    }

    function test_a_user_who_is_not_there_or_not_verified_is_refused() external {
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        a.authenticatorData[32] = 0x04;
        sign(a, KEY);
        refuses(digest, a, IPasskeys.InvalidAuthenticatorData.selector);
        a.authenticatorData[32] = 0x01;
        sign(a, KEY);
        refuses(digest, a, IPasskeys.InvalidAuthenticatorData.selector);
        // Without the requirement it is good, for a wallet that says so in its tree.
        a.header = 0x00;
        same(recovered(digest, a), root(x, y, false, 0), "root");
    }

    function test_short_authenticator_data_is_refused() external {
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        a.authenticatorData = abi.encodePacked(keccak256("rp"), hex"05000000");
        sign(a, KEY);
        refuses(digest, a, IPasskeys.InvalidAuthenticatorData.selector);
    }

    function test_another_key_is_refused() external {
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        sign(a, KEY + 1);
        refuses(digest, a, IPasskeys.InvalidPasskeySignature.selector);
    }

    function test_an_upper_half_s_is_refused() external {
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        a.s = bytes32(ORDER - uint256(a.s));
        refuses(digest, a, IPasskeys.InvalidPasskeySignature.selector);
    }

    function test_flags_without_meaning_are_refused() external {
        bytes32 digest = keccak256("anything");
        Assertion memory a = assertion(digest);
        a.header = 0x21;
        refuses(digest, a, IPasskeys.InvalidSignatureFlag.selector);
        a.header = 0x81;
        refuses(digest, a, IPasskeys.InvalidSignatureFlag.selector);
    }

    function test_bytes_after_the_key_are_refused() external {
        bytes32 digest = keccak256("anything");
        bytes memory signature = bytes.concat(encode(assertion(digest)), hex"00");
        vm.expectPartialRevert(IPasskeys.InvalidSignatureLength.selector);
        passkeys.recoverSapientSignatureCompact(digest, signature);
    }

    function testFuzz_every_truncation_is_refused(uint16 length) external {
        bytes32 digest = keccak256("anything");
        bytes memory signature = encode(assertion(digest));
        uint256 cut = length % signature.length;
        assembly {
            mstore(signature, cut)
        }
        vm.expectRevert();
        passkeys.recoverSapientSignatureCompact(digest, signature);
    }

    function testFuzz_an_altered_byte_never_gives_the_same_root(uint16 place, uint8 xor) external view {
        vm.assume(xor != 0);
        bytes32 digest = keccak256("anything");
        bytes memory signature = encode(assertion(digest));
        uint256 index = place % signature.length;
        signature[index] = bytes1(uint8(signature[index]) ^ xor);
        try passkeys.recoverSapientSignatureCompact(digest, signature) returns (bytes32 other) {
            check(other != root(x, y, true, 0), "the same root");
        } catch {}
    }
}
