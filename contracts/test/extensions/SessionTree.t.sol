// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Format} from "../Format.sol";
import {Decoded} from "../IWallet.sol";
import {Attestation, AuthData, ISessions, Permission, Rule} from "./IExtensions.sol";
import {SessionFormat} from "./SessionFormat.sol";
import {SessionsBase} from "./SessionsBase.sol";

/// @notice Trees of every shape, and what is no tree.
contract SessionTreeTest is SessionsBase {
    function test_the_vectors_of_the_format() external {
        address a = 0x1111111111111111111111111111111111111111;
        address b = 0x2222222222222222222222222222222222222222;
        address c = 0x3333333333333333333333333333333333333333;
        bytes memory empty = hex"211630401111111111111111111111111111111111111111";
        identitySigner = a;
        vectorRoot(empty, 0x97b30670649c7dc653ae0f3edb5ccde9bffd072c0714ec259785e1b1523b0789);

        Permission[] memory list = new Permission[](1);
        list[0].target = c;
        list[0].rules = new Rule[](1);
        list[0].rules[0] = rule(true, 3, 100, 36);
        bytes memory inner = bytes.concat(
            SessionFormat.identity(a), SessionFormat.permissions(b, 1, 1000, 2000000000, list)
        );
        bytes memory whole = SessionFormat.branch(bytes.concat(hex"30", SessionFormat.branch(inner)));
        check(whole[0] == 0x21 && whole[1] == 0xec && whole[2] == 0x30 && whole[3] == 0x21, "wire");
        vectorRoot(whole, 0x4a7d761e81b140c2ef181d76e25cf91fa237079f46a18fe99d5a4e68e1bb9f7f);

        same(
            SessionFormat.ruleUsage(b, list[0], 0),
            0xa2688be605a3c0564e803626faee76b86d7320ebf268194b9ff3a08aa21f6bd3,
            "rule usage"
        );
        same(
            SessionFormat.valueUsage(b),
            0xc10ca6fb9d637c4d9d335a4784f210a4148b3af2cffa10e920ad97e2aeb1c9da,
            "value usage"
        );
        Attestation memory vector = Attestation(
            b,
            0x00000001,
            0x0101010101010101010101010101010101010101010101010101010101010101,
            0x0202020202020202020202020202020202020202020202020202020202020202,
            hex"0304",
            AuthData("https://x.y", 1700000000)
        );
        same(
            keccak256(SessionFormat.attestation(vector)),
            0x6c330dcd85cc1dbab20b83d1bfac54e85efe56dd447391b9912984392d1852ff,
            "attestation"
        );
    }

    /// @dev The root of any tree, shown by an implicit call that the app welcomes: the contract computes it.
    function vectorRoot(bytes memory wire, bytes32 expected) internal {
        Attestation memory good = attestation();
        bytes memory packed = SessionFormat.attestation(good);
        Decoded memory payload = payloadOf(work(0));
        // The identity signer of the vector is nobody's key: its word is put in place by the test machine.
        address identity = 0x1111111111111111111111111111111111111111;
        bytes32 r = keccak256("r");
        bytes32 digest = keccak256(packed);
        mockRecover(digest, r, identity);
        bytes memory signature = bytes.concat(
            sized(wire),
            hex"01",
            packed,
            abi.encodePacked(r, uint256(1)),
            hex"80",
            sign64(IMPLICIT, keccak256(abi.encode(hashOf(payload, wallet), 0)))
        );
        vm.prank(address(wallet));
        same(sessions.recoverSapientSignature(payload, signature), expected, "root");
    }

    function mockRecover(bytes32 digest, bytes32 r, address answer) internal {
        clock.mockCall(address(1), abi.encode(digest, uint256(27), r, uint256(1)), abi.encode(answer));
    }

    function treeRefused(bytes memory wire, bytes4 selector) internal {
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = bytes.concat(sized(wire), hex"00");
        vm.expectPartialRevert(selector);
        sessions.recoverSapientSignature(payload, signature);
    }

    function test_malformed_trees_revert() external {
        bytes memory identity = SessionFormat.identity(identitySigner);
        treeRefused("", ISessions.MalformedTree.selector);
        treeRefused(hex"30", ISessions.InvalidIdentitySigner.selector);
        treeRefused(bytes.concat(identity, identity), ISessions.InvalidIdentitySigner.selector);
        treeRefused(SessionFormat.identity(address(0)), ISessions.InvalidIdentitySigner.selector);
        treeRefused(bytes.concat(hex"3030", identity), ISessions.InvalidBlacklist.selector);
        treeRefused(bytes.concat(hex"50", identity), ISessions.InvalidNodeType.selector);
        treeRefused(bytes.concat(hex"41", identity), ISessions.InvalidNodeType.selector);
        treeRefused(bytes.concat(identity, hex"20"), ISessions.InvalidNodeType.selector);
        treeRefused(bytes.concat(identity, hex"2100"), ISessions.MalformedTree.selector);
        treeRefused(bytes.concat(identity, hex"2101", hex"30"), ISessions.MalformedTree.selector);
        treeRefused(bytes.concat(identity, hex"10", bytes32(0)), ISessions.MalformedTree.selector);
        treeRefused(bytes.concat(hex"32", bytes20(uint160(2)), bytes20(uint160(1)), identity), ISessions.InvalidBlacklistUnsorted.selector);
        treeRefused(bytes.concat(hex"32", bytes20(uint160(2)), bytes20(uint160(2)), identity), ISessions.InvalidBlacklistUnsorted.selector);
        Permission[] memory none;
        treeRefused(
            bytes.concat(identity, SessionFormat.permissions(address(0), 1, 1, 1, none)), ISessions.ZeroSigner.selector
        );
    }

    function test_a_tree_may_have_any_shape() external {
        bytes memory identity = SessionFormat.identity(identitySigner);
        bytes memory list = SessionFormat.blacklist(denied);
        bytes32 node = keccak256("not shown");
        bytes32 id = keccak256(abi.encodePacked(uint8(4), identitySigner));
        bytes32 denies = keccak256(hex"03");
        // The deny-list at the end of a branch, in the middle of one, and alone before one.
        shape(
            bytes.concat(identity, SessionFormat.branch(bytes.concat(leaf(), list))),
            Format.pair(id, Format.pair(keccak256(leaf()), denies))
        );
        shape(
            SessionFormat.branch(bytes.concat(leaf(), list, identity)),
            Format.pair(Format.pair(keccak256(leaf()), denies), id)
        );
        shape(
            bytes.concat(list, SessionFormat.branch(bytes.concat(SessionFormat.branch(bytes.concat(identity, hex"10", node)), leaf()))),
            Format.pair(denies, Format.pair(Format.pair(id, node), keccak256(leaf())))
        );
        // A deny-list that denies nobody, once; also beside one that denies somebody, and with its length in two bytes.
        treeRefused(bytes.concat(hex"3030", identity, leaf()), ISessions.InvalidBlacklist.selector);
        treeRefused(bytes.concat(hex"30", identity, leaf(), hex"31", bytes20(address(app))), ISessions.InvalidBlacklist.selector);
        treeRefused(bytes.concat(hex"31", bytes20(address(app)), identity, leaf(), hex"30"), ISessions.InvalidBlacklist.selector);
        shape(bytes.concat(hex"3f0000", identity, leaf()), Format.pair(Format.pair(denies, id), keccak256(leaf())));
        // The deepest, and one deeper.
        bytes memory deep = bytes.concat(identity, leaf());
        bytes32 deepRoot = Format.pair(id, keccak256(leaf()));
        for (uint256 i; i < 63; ++i) {
            deep = bytes.concat(hex"10", node, SessionFormat.branch(deep));
            deepRoot = Format.pair(node, deepRoot);
        }
        shape(deep, deepRoot);
        treeRefused(bytes.concat(hex"10", node, SessionFormat.branch(deep)), bytes4(keccak256("TooDeep()")));
        // A branch of one item is refused whatever the item is.
        treeRefused(bytes.concat(identity, SessionFormat.branch(leaf())), ISessions.MalformedTree.selector);
        treeRefused(SessionFormat.branch(identity), ISessions.MalformedTree.selector);
        treeRefused(bytes.concat(identity, SessionFormat.branch(list)), ISessions.MalformedTree.selector);
    }

    function shape(bytes memory wire, bytes32 expected) internal {
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = abi.encodePacked(
            sized(wire), hex"0001", sign64(SESSION, keccak256(abi.encode(hashOf(payload, wallet), 0)))
        );
        vm.prank(address(wallet));
        same(sessions.recoverSapientSignature(payload, signature), expected, "root");
    }
}
