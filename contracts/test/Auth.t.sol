// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Decoded, IWallet} from "./IWallet.sol";

contract AuthTest is Base {
    using Format for Decoded;

    bytes32 private constant TEXT = keccak256("something to sign");

    function test_magic_value_for_owner_and_guard() external view {
        bytes32 hash = hashOf(Format.digest(TEXT), guarded);
        check(guarded.isValidSignature(TEXT, signGuarded(hash)) == 0x1626ba7e, "refused");
    }

    function test_a_message_signature_is_valid_for_its_hash() external view {
        Decoded memory message;
        message.kind = 1;
        message.message = "something to sign";
        bytes memory signature = signSingle(OWNER, hashOf(message, single));
        check(single.isValidSignature(TEXT, signature) == 0x1626ba7e, "refused");
    }

    function test_D36_sibling_wallet_with_the_same_signer_refuses() external {
        // The same key, another configuration, so another address.
        IWallet sibling = walletOf(Format.signer(owner, 2), 1);
        bytes memory ours = signSingle(OWNER, hashOf(Format.digest(TEXT), single));
        check(single.isValidSignature(TEXT, ours) == 0x1626ba7e, "refused at home");
        bytes memory theirs = ours;
        theirs[2] = 0x02;
        check(sibling.isValidSignature(TEXT, theirs) == 0, "accepted by the sibling");
    }

    /// @dev D36: the answer is the magic value or nothing; what cannot be read reverts, which is no yes either.
    function testFuzz_D36_no_bytes_are_a_signature(bytes calldata signature) external view {
        (bool success, bytes memory out) =
            address(single).staticcall(abi.encodeCall(single.isValidSignature, (TEXT, signature)));
        check(!success || bytes32(out) == 0, "accepted");
    }

    function test_D33_another_chain_refuses() external {
        bytes memory signature = signSingle(OWNER, hashOf(Format.digest(TEXT), single));
        vm.chainId(10);
        check(single.isValidSignature(TEXT, signature) == 0, "accepted");
    }

    function test_every_chain_accepts_what_was_signed_for_every_chain() external {
        bytes32 hash = Format.digest(TEXT).hash(address(single), 0);
        bytes memory signature = bytes.concat(hex"0201", signed(OWNER, hash));
        for (uint256 chain = 1; chain < 4; ++chain) {
            vm.chainId(chain);
            check(single.isValidSignature(TEXT, signature) == 0x1626ba7e, "refused");
        }
        signature[0] = 0x00;
        check(single.isValidSignature(TEXT, signature) == 0, "accepted without the flag");
    }

    function test_guard_missing() external {
        bytes32 hash = hashOf(Format.digest(TEXT), guarded);
        bytes memory signature =
            bytes.concat(Format.head(2), Format.nestedItem(1, 1, signed(OWNER, hash)), shown(guard));
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidSignatureWeight.selector, 2, 1));
        guarded.isValidSignature(TEXT, signature);
    }

    function test_owner_missing() external {
        bytes32 hash = hashOf(Format.digest(TEXT), guarded);
        bytes memory signature =
            bytes.concat(Format.head(2), Format.nestedItem(1, 1, shown(owner)), signed(GUARD, hash));
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidSignatureWeight.selector, 2, 1));
        guarded.isValidSignature(TEXT, signature);
    }

    function test_a_lower_threshold_belongs_to_another_configuration() external view {
        bytes32 hash = hashOf(Format.digest(TEXT), guarded);
        bytes memory signature =
            bytes.concat(Format.head(1), Format.nestedItem(1, 1, signed(OWNER, hash)), shown(guard));
        check(guarded.isValidSignature(TEXT, signature) == 0, "accepted");
    }

    function test_refuses_an_empty_signature() external {
        vm.expectRevert(abi.encodeWithSelector(IWallet.Truncated.selector));
        single.isValidSignature(TEXT, "");
    }

    function test_the_implementations_themselves_accept_nothing() external view {
        for (uint256 i; i < 2; ++i) {
            IWallet implementation = IWallet(i == 0 ? stage1 : stage2);
            bytes memory signature = signSingle(OWNER, hashOf(Format.digest(TEXT), implementation));
            check(implementation.isValidSignature(TEXT, signature) == 0, "accepted");
        }
    }

    // ─── Wallets as signers of wallets ──────────────────────────────────────────────────────────────

    function childLeaf(IWallet parent, bytes32 hash) private view returns (bytes memory) {
        Decoded memory asked = Format.digest(hash);
        asked.parentWallets = new address[](1);
        asked.parentWallets[0] = address(parent);
        bytes memory inner = signSingle(OWNER, asked.hash(address(single), block.chainid));
        return abi.encodePacked(hex"95", address(single), uint8(inner.length), inner);
    }

    function test_a_wallet_signs_for_a_wallet() external {
        IWallet parent = walletOf(Format.sapient(address(single), 1, bytes32(uint256(1))), 1);
        bytes memory signature = bytes.concat(Format.head(1), childLeaf(parent, TEXT));
        check(parent.isValidSignature(TEXT, signature) == 0x1626ba7e, "refused");
    }

    function test_what_a_wallet_signed_for_one_parent_is_refused_by_another() external {
        IWallet parent = walletOf(Format.sapient(address(single), 1, bytes32(uint256(1))), 1);
        IWallet other = walletOf(Format.sapient(address(single), 2, bytes32(uint256(1))), 2);
        bytes memory leaf = childLeaf(parent, TEXT);
        leaf[0] = 0x96;
        vm.expectPartialRevert(IWallet.InvalidSapientSignature.selector);
        other.isValidSignature(TEXT, bytes.concat(Format.head(2), leaf));
    }
}
