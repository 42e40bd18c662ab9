// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Format} from "../Format.sol";
import {Call, Decoded, IWallet} from "../IWallet.sol";
import {ISessions} from "./IExtensions.sol";
import {SessionsBase} from "./SessionsBase.sol";

contract SessionsTest is SessionsBase {
    using Format for Decoded;

    // ─── Explicit sessions ──────────────────────────────────────────────────────────────────────────

    function test_a_session_calls_what_it_may() external {
        Decoded memory payload = payloadOf(work(0));
        execute(payload, explicitSignature(payload, flag(1)));
        same(app.calls(), 1, "not called");
    }

    function test_a_session_cannot_call_another_contract_or_function() external {
        Decoded memory payload = payloadOf(call(address(0x77), ""));
        refuses(payload, explicitSignature(payload, flag(1)), ISessions.InvalidPermission.selector);
        payload = payloadOf(call(address(token), abi.encodeCall(token.mint, (session, 1))));
        refuses(payload, explicitSignature(payload, flag(0)), ISessions.InvalidPermission.selector);
        payload = payloadOf(work(0));
        refuses(payload, explicitSignature(payload, flag(2)), ISessions.MissingPermission.selector);
    }

    function test_a_session_ends_at_its_deadline() external {
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = explicitSignature(payload, flag(1));
        clock.warp(uint256(DEADLINE) + 1);
        refuses(payload, signature, ISessions.SessionExpired.selector);
        clock.warp(DEADLINE);
        execute(payload, signature);
    }

    function test_a_session_for_another_chain_is_refused() external {
        // The tree names chain 1 and is the same on chain 10; the signature is for chain 10.
        bytes memory here = sized(tree());
        vm.chainId(10);
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = abi.encodePacked(
            here, hex"0001", sign64(SESSION, keccak256(abi.encode(hashOf(payload, wallet), 0)))
        );
        refuses(payload, signature, ISessions.InvalidChainId.selector);
    }

    function test_a_session_signs_calls_and_nothing_else() external {
        Decoded memory payload = Format.digest(keccak256("permit"));
        refusesOnly(payload, ISessions.InvalidPayloadKind.selector);
        payload = Format.update(keccak256("mine"));
        refusesOnly(payload, ISessions.InvalidPayloadKind.selector);
        payload = Format.calls(new Call[](0), 0, 0);
        refusesOnly(payload, ISessions.InvalidCallsLength.selector);
        payload = payloadOf(work(0));
        payload.space = 2 ** 80 - 1;
        refusesOnly(payload, ISessions.InvalidSpace.selector);
    }

    function refusesOnly(Decoded memory payload, bytes4 selector) internal {
        bytes memory signature = bytes.concat(sized(tree()), hex"00");
        vm.expectPartialRevert(selector);
        sessions.recoverSapientSignature(payload, signature);
    }

    function test_a_stranger_has_no_session() external {
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = sessionSignature(payload, flag(1), hex"00", STRANGER);
        refuses(payload, signature, ISessions.InvalidSessionSigner.selector);
    }

    function test_a_call_signed_for_one_place_is_refused_in_another() external {
        Decoded memory payload = payloadOf(work(0), work(0));
        bytes32 hash = hashOf(payload, wallet);
        bytes memory first = abi.encodePacked(hex"01", sign64(SESSION, keccak256(abi.encode(hash, 0))));
        bytes memory signature = bytes.concat(sized(tree()), hex"00", first, first);
        refuses(payload, signature, ISessions.InvalidSessionSigner.selector);
    }

    function test_bytes_after_the_last_call_are_refused() external {
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = bytes.concat(explicitSignature(payload, flag(1)), hex"00");
        refuses(payload, signature, ISessions.InvalidSignatureLength.selector);
    }

    // ─── Implicit sessions ──────────────────────────────────────────────────────────────────────────

    function implicitSignature(Decoded memory payload, uint256 identityKey, uint256 key)
        internal
        view
        returns (bytes memory)
    {
        return sessionSignature(payload, flag(0x80), attested(identityKey), key);
    }

    function test_an_implicit_session_calls_who_welcomes_it() external {
        Decoded memory payload = payloadOf(work(0));
        execute(payload, implicitSignature(payload, IDENTITY, IMPLICIT));
        same(app.calls(), 1, "not called");
    }

    function test_an_implicit_session_needs_the_identity_signer_and_its_key() external {
        Decoded memory payload = payloadOf(work(0));
        refuses(payload, implicitSignature(payload, STRANGER, IMPLICIT), ISessions.InvalidAttestation.selector);
        refuses(payload, implicitSignature(payload, IDENTITY, STRANGER), ISessions.InvalidSessionSigner.selector);
        bytes memory other = sessionSignature(payload, flag(0x81), attested(IDENTITY), IMPLICIT);
        refuses(payload, other, ISessions.InvalidAttestation.selector);
    }

    /// @dev A signature that shows no key is not the word of a key that nobody has.
    function test_an_attestation_of_address_zero_approves_nobody() external {
        Decoded memory payload = payloadOf(work(0));
        implicitKey = address(0);
        bytes memory signature = abi.encodePacked(sized(tree()), attested(IDENTITY), uint8(0x80), new bytes(64));
        refuses(payload, signature, ISessions.InvalidSessionSigner.selector);
    }

    /// @dev What it spends would be counted by a call of the parent, in the parent's name, and never here.
    function test_a_session_signs_for_no_parent_wallet() external {
        IWallet parent = walletOf(Format.sapient(address(wallet), 1, bytes32(uint256(1))), 1);
        token.mint(address(parent), 1000);
        Call[] memory calls = new Call[](2);
        calls[0] = increment(limit(tokenUsage(), 100));
        calls[1] = transfer(address(0x77), 100);
        Decoded memory executed = Format.calls(calls, 0, 0);
        Decoded memory signed_ = Format.calls(calls, 0, 0);
        signed_.parentWallets = new address[](1);
        signed_.parentWallets[0] = address(parent);
        bytes32 hash = signed_.hash(address(wallet), block.chainid);
        bytes memory sig = bytes.concat(sized(tree()), hex"00");
        for (uint256 i; i < 2; ++i) {
            sig = abi.encodePacked(sig, uint8(0), sign64(SESSION, keccak256(abi.encode(hash, i))));
        }
        refuses(signed_, sig, bytes4(keccak256("InvalidParentWallets()")));
        bytes memory child = abi.encodePacked(Format.head(1), hex"99", address(sessions), uint16(sig.length), sig);
        bytes memory whole = abi.encodePacked(Format.head(1), hex"99", address(wallet), uint16(child.length), child);
        vm.expectRevert();
        parent.execute(executed.pack(), whole);
        same(received(), 0, "spent");
    }

    function test_an_implicit_session_sends_no_coin() external {
        Decoded memory payload = payloadOf(work(1));
        refuses(payload, implicitSignature(payload, IDENTITY, IMPLICIT), ISessions.InvalidValue.selector);
    }

    function test_who_answers_wrongly_or_not_at_all_does_not_welcome() external {
        app.lie();
        Decoded memory payload = payloadOf(work(0));
        refuses(payload, implicitSignature(payload, IDENTITY, IMPLICIT), ISessions.InvalidImplicitResult.selector);
        payload = payloadOf(transfer(address(0x77), 1));
        bytes memory signature = implicitSignature(payload, IDENTITY, IMPLICIT);
        vm.expectRevert();
        sessions.recoverSapientSignature(payload, signature);
    }

    function test_the_deny_list_wins() external {
        denied = new address[](2);
        (denied[0], denied[1]) = address(app) < implicitKey ? (address(app), address(type(uint160).max)) : (address(1), address(app));
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = implicitSignature(payload, IDENTITY, IMPLICIT);
        refuses(payload, signature, ISessions.BlacklistedAddress.selector);
        (denied[0], denied[1]) = (address(1), implicitKey);
        signature = implicitSignature(payload, IDENTITY, IMPLICIT);
        refuses(payload, signature, ISessions.BlacklistedAddress.selector);
    }

    function testFuzz_every_entry_of_a_deny_list_is_found(uint8 length, uint8 seed) external {
        uint256 count = uint256(length % 40) + 1;
        denied = new address[](count);
        uint256 place = seed % count;
        // The app stands in its place, and the others around it in order.
        uint160 here = uint160(address(app));
        for (uint256 i; i < count; ++i) {
            denied[i] = address(uint160(here + i - place));
        }
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = implicitSignature(payload, IDENTITY, IMPLICIT);
        vm.prank(address(wallet));
        vm.expectRevert(abi.encodeWithSelector(ISessions.BlacklistedAddress.selector, address(app)));
        sessions.recoverSapientSignature(payload, signature);
    }

    function test_an_implicit_session_touches_no_counter() external {
        Decoded memory payload = payloadOf(increment(limit(keccak256("any"), 1)));
        bytes memory signature = implicitSignature(payload, IDENTITY, IMPLICIT);
        refuses(payload, signature, ISessions.InvalidLimitUsageIncrement.selector);
    }

    function testFuzz_an_altered_signature_is_refused(uint16 place, uint8 xor) external {
        vm.assume(xor != 0);
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = explicitSignature(payload, flag(1));
        uint256 index = place % signature.length;
        signature[index] = bytes1(uint8(signature[index]) ^ xor);
        vm.prank(address(wallet));
        try sessions.recoverSapientSignature(payload, signature) returns (bytes32 other) {
            check(other != root(), "the same root");
        } catch {}
    }

    function testFuzz_every_truncation_is_refused(uint16 length) external {
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = explicitSignature(payload, flag(1));
        uint256 cut = length % signature.length;
        assembly {
            mstore(signature, cut)
        }
        vm.expectRevert();
        sessions.recoverSapientSignature(payload, signature);
    }

    // ─── Elsewhere ──────────────────────────────────────────────────────────────────────────────────

    function shows(Decoded memory payload, bytes memory signature) internal returns (bool) {
        vm.prank(address(wallet));
        try sessions.recoverSapientSignature(payload, signature) {
            return true;
        } catch (bytes memory error_) {
            check(bytes4(error_) == ISessions.InvalidSessionSigner.selector, "another reason");
            return false;
        }
    }

    function test_a_session_signature_for_a_sibling_wallet_is_refused() external {
        Decoded memory payload = payloadOf(work(0));
        same(shows(payload, everywhere(hashOf(payload, wallet))), true, "own");
        same(shows(payload, everywhere(hashOf(payload, single))), false, "a sibling's");
    }

    function test_a_session_signature_counts_on_its_chain_or_on_all() external {
        Decoded memory payload = payloadOf(work(0));
        bytes memory here = everywhere(hashOf(payload, wallet));
        bytes memory all = everywhere(payload.hash(address(wallet), 0));
        same(shows(payload, here), true, "here");
        same(shows(payload, all), false, "all, where one is meant");
        vm.chainId(10);
        same(shows(payload, here), false, "there");
        payload.noChainId = true;
        same(shows(payload, here), false, "one, where all are meant");
        same(shows(payload, all), true, "all");
    }
}
