// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Decoded, IWallet, Snapshot} from "./IWallet.sol";
import {Checkpointer, ContractSigner, SapientSigner} from "./Mocks.sol";

contract SignatureTest is Base {
    using Format for Decoded;

    bytes32 private constant TEXT = keccak256("something to sign");
    bytes32 private constant NODE = bytes32(uint256(0xeeee));
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function hash(IWallet wallet) private view returns (bytes32) {
        return hashOf(Format.digest(TEXT), wallet);
    }

    function partial_(bytes memory signature) private view returns (uint256 weight, bytes32 image) {
        (, weight,, image,,) = single.recoverPartialSignature(Format.digest(TEXT), signature);
    }

    function refuses(bytes4 error_, bytes memory signature) private {
        vm.expectPartialRevert(error_);
        single.isValidSignature(TEXT, signature);
    }

    function accepts(IWallet wallet, bytes memory signature) private view {
        check(wallet.isValidSignature(TEXT, signature) == 0x1626ba7e, "refused");
    }

    // ─── Leaves ─────────────────────────────────────────────────────────────────────────────────────

    function test_accepts_a_signed_hash() external view {
        bytes memory signature = signSingle(OWNER, hash(single));
        same(signature.length, 67, "length");
        accepts(single, signature);
    }

    function test_accepts_eth_sign() external view {
        bytes32 wrapped = keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", hash(single)));
        bytes memory leaf = signed(OWNER, wrapped);
        leaf[0] = 0x71;
        accepts(single, bytes.concat(Format.head(1), leaf));
    }

    function test_accepts_the_encoding_of_the_npm_package() external view {
        accepts(single, bytes.concat(hex"040001", signed(OWNER, hash(single))));
    }

    function test_wrong_key_belongs_to_another_configuration() external view {
        check(single.isValidSignature(TEXT, signSingle(STRANGER, hash(single))) == 0, "accepted");
    }

    function test_explicit_weights_are_part_of_the_configuration() external {
        IWallet wallet = walletOf(Format.signer(owner, 16), 16);
        bytes memory leaf = signed(OWNER, hash(wallet));
        leaf[0] = 0x10;
        bytes memory signature = abi.encodePacked(Format.head(16), hex"00", hex"10");
        for (uint256 i = 1; i < leaf.length; ++i) signature = abi.encodePacked(signature, leaf[i]);
        accepts(wallet, signature);
    }

    function test_refuses_high_s() external {
        (, bytes32 r,) = vm.sign(OWNER, hash(single));
        // On the wire the top bit is the parity: only these upper-half values can be written.
        uint256 s = ORDER / 2 + 1;
        bytes4 error_ = IWallet.InvalidEcdsaSignature.selector;
        refuses(error_, bytes.concat(Format.head(1), hex"01", Format.compact(27, r, bytes32(s))));
        refuses(error_, bytes.concat(Format.head(1), hex"71", Format.compact(28, r, bytes32(s))));
    }

    function test_refuses_a_failed_ecrecover() external {
        // Address zero with weight is in the tree: the published contracts would let anybody act.
        IWallet wallet = walletOf(Format.signer(address(0), 1), 1);
        bytes memory nothing = bytes.concat(Format.head(1), hex"01", bytes32(0), bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidEcdsaSignature.selector));
        wallet.isValidSignature(TEXT, nothing);
    }

    function test_D40_refuses_zero_signers() external {
        bytes4 error_ = IWallet.ZeroSigner.selector;
        refuses(error_, bytes.concat(Format.head(1), shown(address(0))));
        refuses(error_, abi.encodePacked(Format.head(1), hex"21", address(0)));
        refuses(error_, abi.encodePacked(Format.head(1), hex"91", address(0)));
        refuses(error_, abi.encodePacked(hex"40", address(0), hex"000000", hex"01", shown(owner)));
    }

    function test_asks_a_contract_signer() external {
        ContractSigner yes = new ContractSigner(0x1626ba7e);
        ContractSigner no = new ContractSigner(0x1626ba7f);
        IWallet wallet = walletOf(Format.pair(Format.signer(address(yes), 1), Format.signer(address(no), 2)), 1);
        accepts(wallet, abi.encodePacked(Format.head(1), hex"21", address(yes), hex"12", address(no)));
        vm.expectRevert(
            abi.encodeWithSelector(IWallet.InvalidERC1271Signature.selector, hash(wallet), address(no), bytes("xy"))
        );
        wallet.isValidSignature(
            TEXT, abi.encodePacked(Format.head(1), shown(address(yes)), hex"26", address(no), hex"02", "xy")
        );
    }

    function test_a_key_is_no_contract_signer() external {
        vm.expectRevert();
        single.isValidSignature(TEXT, abi.encodePacked(Format.head(1), hex"21", owner));
    }

    function test_asks_a_sapient_signer() external {
        SapientSigner sapient = new SapientSigner();
        bytes32 root = keccak256(abi.encode(uint8(3), false, TEXT, bytes("abc")));
        IWallet wallet = walletOf(Format.sapient(address(sapient), 3, root), 3);
        accepts(wallet, abi.encodePacked(Format.head(3), hex"97", address(sapient), hex"03", "abc"));

        bytes32 compact = keccak256(abi.encode(hash(single), bytes("abc")));
        (uint256 weight, bytes32 image) =
            partial_(abi.encodePacked(Format.head(1), hex"a7", address(sapient), hex"03", "abc"));
        same(weight, 3, "weight");
        same(image, Format.image(Format.sapient(address(sapient), 3, compact), 1, 0, address(0)), "image");
    }

    function test_an_approved_digest_needs_no_signature() external {
        bytes32 anywhere = Format.digest(TEXT).hash(address(0), block.chainid);
        IWallet wallet = walletOf(Format.pair(Format.signer(owner, 1), Format.anyAddress(anywhere)), 1);
        accepts(wallet, bytes.concat(Format.head(1), shown(owner), hex"80", anywhere));
        check(wallet.isValidSignature(TEXT, bytes.concat(Format.head(1), hex"80", anywhere)) == 0, "other tree");

        (uint256 weight, bytes32 image) = partial_(abi.encodePacked(Format.head(1), hex"50", hash(single)));
        same(weight, type(uint256).max, "weight");
        same(image, Format.image(Format.subdigest(hash(single)), 1, 0, address(0)), "image");
        (weight,) = partial_(abi.encodePacked(Format.head(1), hex"50", TEXT));
        same(weight, 0, "weight of another digest");
    }

    function test_D40_refuses_weight_that_wraps() external {
        bytes memory approved = abi.encodePacked(hex"50", hash(single));
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        partial_(bytes.concat(Format.head(1), approved, signed(OWNER, hash(single))));
    }

    // ─── Trees ──────────────────────────────────────────────────────────────────────────────────────

    function test_trees_hash_as_described() external view {
        bytes memory right = bytes.concat(shown(guard), hex"30", NODE);
        (uint256 weight, bytes32 image) = partial_(
            bytes.concat(Format.head(1), signed(OWNER, hash(single)), hex"41", bytes1(uint8(right.length)), right)
        );
        bytes32 root = Format.pair(Format.signer(owner, 1), Format.pair(Format.signer(guard, 1), NODE));
        same(weight, 1, "weight");
        same(image, Format.image(root, 1, 0, address(0)), "image");
    }

    function test_nested_tree_counts_once_its_threshold_is_reached() external view {
        bytes memory inner = bytes.concat(signed(OWNER, hash(single)), signed(GUARD, hash(single)));
        bytes32 pair_ = Format.pair(Format.signer(owner, 1), Format.signer(guard, 1));
        for (uint8 threshold = 1; threshold < 4; ++threshold) {
            (uint256 weight, bytes32 image) =
                partial_(bytes.concat(Format.head(1), Format.nestedItem(threshold, 9, inner)));
            same(weight, threshold > 2 ? 0 : 9, "weight");
            same(image, Format.image(Format.nested(pair_, threshold, 9), 1, 0, address(0)), "image");
        }
    }

    /// @dev A random tree as the format describes it: bytes, hash, and the weight that the bytes show.
    struct Tree {
        bytes out;
        bytes32 root;
        uint256 weight;
        uint256 seed;
    }

    function draw(Tree memory tree, uint256 below) private pure returns (uint256) {
        tree.seed = uint256(keccak256(abi.encode(tree.seed)));
        return tree.seed % below;
    }

    function grow(Tree memory tree, uint256 depth, bytes32 digest) private view {
        uint256 items = 1 + draw(tree, 4);
        for (uint256 i; i < items; ++i) {
            uint256 kind = draw(tree, depth == 0 ? 7 : 9);
            if (kind == 8 && tree.root == 0) kind = 7;
            bytes32 node;
            if (kind < 3) node = growSigner(tree, kind, digest);
            else if (kind < 7) node = growHash(tree, kind, digest);
            else node = growTree(tree, kind, depth, digest);
            tree.root = tree.root == 0 ? node : Format.pair(tree.root, node);
        }
    }

    /// @dev Kind 0 signs the hash, 1 does not sign, 2 signs as a message; weights in the nibble and beside it.
    function growSigner(Tree memory tree, uint256 kind, bytes32 digest) private pure returns (bytes32) {
        uint256 key = 1 + draw(tree, 1000);
        uint256 weight = draw(tree, 3) == 0 ? draw(tree, 256) : 1 + draw(tree, 15);
        bool wide = weight == 0 || weight > 15 || draw(tree, 5) == 0;
        uint8 item = uint8([0x00, 0x10, 0x70][kind]) | (wide ? 0 : uint8(weight));
        tree.out = bytes.concat(tree.out, wide ? abi.encodePacked(item, uint8(weight)) : abi.encodePacked(item));
        if (kind == 1) {
            tree.out = abi.encodePacked(tree.out, vm.addr(key));
        } else {
            if (kind == 2) digest = keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", digest));
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
            tree.out = bytes.concat(tree.out, Format.compact(v, r, s));
            tree.weight += weight;
        }
        return Format.signer(vm.addr(key), weight);
    }

    /// @dev Hashes of subtrees, and digests that are not this one.
    function growHash(Tree memory tree, uint256 kind, bytes32) private pure returns (bytes32 node) {
        bytes32 value = bytes32(draw(tree, type(uint256).max) + 1);
        tree.out = abi.encodePacked(tree.out, uint8([0x30, 0x30, 0x50, 0x80][kind - 3]), value);
        if (kind < 5) return value;
        return kind == 5 ? Format.subdigest(value) : Format.anyAddress(value);
    }

    /// @dev Kind 7 is a nested tree, 8 a branch; lengths in more bytes than they need.
    function growTree(Tree memory tree, uint256 kind, uint256 depth, bytes32 digest) private view returns (bytes32) {
        Tree memory inner;
        inner.seed = draw(tree, type(uint256).max);
        grow(inner, depth - 1, digest);
        if (kind == 8) {
            uint256 width = 2 + draw(tree, 14);
            bytes memory length = abi.encodePacked(inner.out.length);
            tree.out = abi.encodePacked(tree.out, uint8(0x40 | width));
            for (uint256 i = 32 - width; i < 32; ++i) tree.out = bytes.concat(tree.out, length[i]);
            tree.out = bytes.concat(tree.out, inner.out);
            tree.weight += inner.weight;
            return inner.root;
        }
        uint256 weight = draw(tree, 6);
        uint256 threshold = 1 + draw(tree, 12);
        bool wideWeight = weight == 0 || weight > 3;
        bool wideThreshold = threshold > 3;
        tree.out = abi.encodePacked(
            tree.out, uint8(0x60 | (wideWeight ? 0 : weight << 2) | (wideThreshold ? 0 : threshold))
        );
        if (wideWeight) tree.out = abi.encodePacked(tree.out, uint8(weight));
        if (wideThreshold) tree.out = abi.encodePacked(tree.out, uint16(threshold));
        tree.out = abi.encodePacked(tree.out, uint24(inner.out.length), inner.out);
        if (inner.weight >= threshold) tree.weight += weight;
        return Format.nested(inner.root, threshold, weight);
    }

    function testFuzz_random_trees_hash_and_weigh_as_described(uint256 seed) external view {
        Tree memory tree;
        tree.seed = seed;
        grow(tree, 4, hash(single));
        (uint256 weight, bytes32 image) = partial_(bytes.concat(Format.head(1), tree.out));
        same(weight, tree.weight, "weight");
        same(image, Format.image(tree.root, 1, 0, address(0)), "image");
    }

    /// @dev What is cut off, and whatever follows a tree, is never read as part of it.
    function testFuzz_random_trees_refuse_truncation_or_weigh_no_more(uint256 seed, uint256 length) external view {
        Tree memory tree;
        tree.seed = seed;
        grow(tree, 3, hash(single));
        bytes memory part = new bytes(length % tree.out.length);
        for (uint256 i; i < part.length; ++i) part[i] = tree.out[i];
        bytes memory data = abi.encodeCall(
            single.recoverPartialSignature, (Format.digest(TEXT), bytes.concat(Format.head(1), part))
        );
        (bool success, bytes memory out) = address(single).staticcall(data);
        if (!success) return;
        (, uint256 weight,, bytes32 image,,) = abi.decode(out, (uint256, uint256, bool, bytes32, uint256, bytes32));
        check(image != Format.image(tree.root, 1, 0, address(0)), "the whole tree");
        check(weight <= tree.weight + 255, "weight");
    }

    /// @dev Depth costs gas, and no more of it than its bytes.
    function test_deep_trees_are_read() external view {
        bytes memory out = signed(OWNER, hash(single));
        bytes32 root = Format.signer(owner, 1);
        for (uint256 i; i < 60; ++i) {
            out = i % 2 == 0
                ? Format.nestedItem(1, 1, out)
                : abi.encodePacked(hex"30", NODE, hex"43", uint24(out.length), out);
            root = i % 2 == 0 ? Format.nested(root, 1, 1) : Format.pair(NODE, root);
        }
        (uint256 weight, bytes32 image) = partial_(bytes.concat(Format.head(1), out));
        same(weight, 1, "weight");
        same(image, Format.image(root, 1, 0, address(0)), "image");
    }

    /// @dev `kind` 0 nested trees, 1 branches, 2 branches behind another branch, 3 behind a contract's signature.
    function within(uint256 levels, uint256 kind) private returns (bytes memory out, bytes32 root) {
        out = signed(OWNER, hash(single));
        root = Format.signer(owner, 1);
        ContractSigner contractSigner;
        if (kind == 3) contractSigner = new ContractSigner(0x1626ba7e);
        for (uint256 i; i < levels; ++i) {
            if (kind == 0) {
                (out, root) = (Format.nestedItem(1, 1, out), Format.nested(root, 1, 1));
                continue;
            }
            bytes memory first = abi.encodePacked(hex"30", NODE);
            bytes32 left = NODE;
            if (kind == 2) {
                first = abi.encodePacked(first, hex"4142", first, first);
                left = Format.pair(NODE, Format.pair(NODE, NODE));
            }
            if (kind == 3) {
                first = abi.encodePacked(hex"29", contractSigner, uint16(400), new bytes(400));
                left = Format.signer(address(contractSigner), 1);
            }
            out = abi.encodePacked(first, hex"43", uint24(out.length), out);
            root = Format.pair(left, root);
        }
    }

    function test_trees_end_at_the_64th_level() external {
        for (uint256 kind; kind < 4; ++kind) {
            (bytes memory out, bytes32 root) = within(63, kind);
            (, bytes32 image) = partial_(bytes.concat(Format.head(1), out));
            same(image, Format.image(root, 1, 0, address(0)), "image");
            (out,) = within(64, kind);
            refuses(IWallet.TooDeep.selector, bytes.concat(Format.head(1), out));
            (out,) = within(80, kind);
            refuses(IWallet.TooDeep.selector, bytes.concat(Format.head(1), out));
        }
        // What is cut off is called that, also there.
        bytes memory cut = abi.encodePacked(hex"65", uint24(66), signed(OWNER, hash(single)));
        for (uint256 i; i < 63; ++i) {
            cut = Format.nestedItem(1, 1, cut);
        }
        refuses(IWallet.Truncated.selector, bytes.concat(Format.head(1), cut));
    }

    /// @dev Many trees beside each other are not deep.
    function test_wide_trees_are_read() external view {
        bytes memory out = signed(OWNER, hash(single));
        bytes32 root = Format.signer(owner, 1);
        bytes memory branch = abi.encodePacked(hex"4142", hex"30", NODE, hex"30", NODE);
        for (uint256 i; i < 200; ++i) {
            out = bytes.concat(out, branch);
            root = Format.pair(root, Format.pair(NODE, NODE));
        }
        (, bytes32 image) = partial_(bytes.concat(Format.head(1), out));
        same(image, Format.image(root, 1, 0, address(0)), "image");
    }

    /// @dev D40: weights that wrap, also at the end of an inner tree.
    function test_D40_refuses_inner_weight_that_wraps() external {
        bytes memory approved = abi.encodePacked(hex"50", hash(single));
        bytes memory branch = abi.encodePacked(signed(OWNER, hash(single)), hex"41", uint8(33), approved);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        partial_(bytes.concat(Format.head(1), branch));
    }

    function test_D40_refuses_thresholds_of_zero() external {
        bytes4 error_ = IWallet.ZeroThreshold.selector;
        refuses(error_, bytes.concat(Format.head(0), shown(owner)));
        refuses(error_, bytes.concat(Format.head(1), Format.nestedItem(0, 1, shown(owner))));
    }

    function test_refuses_trees_without_a_real_root() external {
        bytes4 error_ = IWallet.MalformedTree.selector;
        refuses(error_, Format.head(1));
        refuses(error_, bytes.concat(Format.head(1), hex"30", bytes32(0)));
        refuses(error_, bytes.concat(Format.head(1), hex"4115", shown(owner)));
        refuses(error_, bytes.concat(Format.head(1), shown(owner), hex"40"));
        refuses(error_, bytes.concat(Format.head(1), Format.nestedItem(1, 1, "")));
    }

    function test_refuses_unknown_tags_and_flags() external {
        bytes4 error_ = IWallet.InvalidSignatureFlag.selector;
        for (uint8 tag = 11; tag < 16; ++tag) {
            refuses(error_, abi.encodePacked(Format.head(1), tag << 4, owner));
        }
        refuses(error_, bytes.concat(Format.head(1), hex"31", NODE));
        refuses(error_, bytes.concat(Format.head(1), hex"51", NODE));
        refuses(error_, bytes.concat(Format.head(1), hex"8f", NODE));
        refuses(error_, hex"03");
    }

    function test_refuses_every_truncation() external view {
        bytes memory whole = signGuarded(hash(guarded));
        accepts(guarded, whole);
        for (uint256 length; length < whole.length; ++length) {
            bytes memory part = new bytes(length);
            for (uint256 i; i < length; ++i) part[i] = whole[i];
            (bool success, bytes memory out) =
                address(guarded).staticcall(abi.encodeCall(guarded.isValidSignature, (TEXT, part)));
            check(!success || abi.decode(out, (bytes4)) == 0, "accepted");
        }
    }

    function test_does_not_read_past_the_end() external view {
        // The missing 20 bytes follow the signature in calldata, where a careless reader finds them.
        bytes memory data = abi.encodeCall(single.isValidSignature, (TEXT, bytes.concat(Format.head(1), hex"11")));
        for (uint256 i; i < 20; ++i) data[4 + 32 * 3 + 3 + i] = bytes20(owner)[i];
        (bool success, bytes memory out) = address(single).staticcall(data);
        check(!success && bytes4(out) == IWallet.Truncated.selector, "read past the end");
    }

    function test_refuses_trailing_bytes() external {
        refuses(IWallet.Truncated.selector, bytes.concat(signSingle(OWNER, hash(single)), hex"00"));
    }

    function testFuzz_a_changed_byte_is_never_accepted(uint256 index, uint8 xor) external view {
        bytes memory signature = signGuarded(hash(guarded));
        index %= signature.length;
        if (xor == 0) xor = 1;
        signature[index] = bytes1(uint8(signature[index]) ^ xor);
        (bool success, bytes memory out) =
            address(guarded).staticcall(abi.encodeCall(guarded.isValidSignature, (TEXT, signature)));
        check(!success || abi.decode(out, (bytes4)) == 0, "accepted");
    }

    // ─── Checkpointer ───────────────────────────────────────────────────────────────────────────────

    function withSnapshot(Checkpointer checkpointer, Snapshot memory snapshot, uint8 checkpoint)
        private
        view
        returns (bytes memory)
    {
        bytes memory proof = abi.encode(snapshot);
        return abi.encodePacked(
            hex"44", address(checkpointer), uint24(proof.length), proof, checkpoint, hex"01", signed(OWNER, hash(single))
        );
    }

    function test_a_configuration_older_than_the_snapshot_is_refused() external {
        Checkpointer checkpointer = new Checkpointer();
        bytes32 image = Format.image(Format.signer(owner, 1), 1, 5, address(checkpointer));
        (, bytes32 recovered) = partial_(withSnapshot(checkpointer, Snapshot(image, 5), 5));
        same(recovered, image, "the latest itself");
        partial_(withSnapshot(checkpointer, Snapshot(0, 5), 5));
        partial_(withSnapshot(checkpointer, Snapshot(NODE, 4), 5));
        vm.expectRevert(abi.encodeWithSelector(IWallet.UnusedSnapshot.selector, Snapshot(NODE, 5)));
        this.partialWithSnapshot(checkpointer, Snapshot(NODE, 5), 5);
    }

    function partialWithSnapshot(Checkpointer checkpointer, Snapshot calldata snapshot, uint8 checkpoint) external view {
        partial_(withSnapshot(checkpointer, snapshot, checkpoint));
    }

    // ─── Chains ─────────────────────────────────────────────────────────────────────────────────────

    /// @dev The image of a single signer with a checkpoint, and a link signed by it for every chain.
    function generation(uint256 key, uint8 checkpoint) private pure returns (bytes32) {
        return Format.image(Format.signer(vm.addr(key), 1), 1, checkpoint, address(0));
    }

    function update(uint256 key, uint8 checkpoint, bytes32 next) private view returns (bytes memory) {
        bytes32 digest = Format.update(next).hash(address(single), 0);
        return Format.link(abi.encodePacked(hex"06", checkpoint, hex"01", signed(key, digest)));
    }

    function newest(uint256 key, uint8 checkpoint) private view returns (bytes memory) {
        return Format.link(abi.encodePacked(hex"04", checkpoint, hex"01", signed(key, hash(single))));
    }

    function test_accepts_two_updates_without_a_transaction() external view {
        bytes memory middle = update(GUARD, 2, generation(STRANGER, 7));
        bytes memory oldest = update(OWNER, 0, generation(GUARD, 2));
        accepts(single, bytes.concat(hex"01", newest(STRANGER, 7), middle, oldest));
    }

    function test_refuses_a_chain_that_goes_back_in_time() external {
        bytes memory chain = bytes.concat(hex"01", newest(GUARD, 0), update(OWNER, 0, generation(GUARD, 0)));
        vm.expectRevert(abi.encodeWithSelector(IWallet.WrongChainedCheckpointOrder.selector, 0, 0));
        single.isValidSignature(TEXT, chain);
    }

    function test_refuses_a_link_that_signs_another_update() external view {
        bytes memory chain = bytes.concat(hex"01", newest(STRANGER, 7), update(OWNER, 0, generation(GUARD, 7)));
        check(single.isValidSignature(TEXT, chain) == 0, "accepted");
    }

    function test_refuses_a_link_without_weight() external {
        bytes memory unsigned = Format.link(abi.encodePacked(hex"060001", shown(owner)));
        refuses(IWallet.LowWeightChainedSignature.selector, bytes.concat(hex"01", newest(GUARD, 2), unsigned));
        bytes memory light = Format.link(abi.encodePacked(hex"040201", shown(guard)));
        bytes memory below = update(OWNER, 0, generation(GUARD, 2));
        refuses(IWallet.InvalidSignatureWeight.selector, bytes.concat(hex"01", light, below));
    }

    function test_a_chain_weighs_what_its_newest_signers_weigh() external view {
        bytes memory oldest = update(OWNER, 0, generation(GUARD, 2));
        bytes memory unsigned = Format.link(abi.encodePacked(hex"040201", shown(guard)));
        (uint256 threshold, uint256 weight, bool isValidImage,,,) =
            single.recoverPartialSignature(Format.digest(TEXT), bytes.concat(hex"01", unsigned, oldest));
        check(isValidImage && threshold == 1 && weight == 0, "of the oldest");
        (threshold, weight, isValidImage,,,) =
            single.recoverPartialSignature(Format.digest(TEXT), bytes.concat(hex"01", newest(GUARD, 2), oldest));
        check(isValidImage && threshold == 1 && weight == 1, "not of the newest");
    }

    /// @dev A chain of two whose head shows a checkpointer; the newest link shows it too, without proof.
    function chainWithSnapshot(Checkpointer checkpointer, Snapshot memory snapshot)
        private
        view
        returns (bytes memory)
    {
        bytes32 next = Format.image(Format.signer(guard, 1), 1, 7, address(checkpointer));
        bytes32 digest = Format.update(next).hash(address(single), 0);
        bytes memory first =
            abi.encodePacked(hex"44", address(checkpointer), hex"0701", signed(GUARD, hash(single)));
        bytes memory last = abi.encodePacked(hex"060501", signed(OWNER, digest));
        bytes memory proof = abi.encode(snapshot);
        return abi.encodePacked(
            hex"41", address(checkpointer), uint24(proof.length), proof, Format.link(first), Format.link(last)
        );
    }

    function test_a_chain_belongs_to_the_oldest_configuration_and_its_checkpointer() external {
        Checkpointer checkpointer = new Checkpointer();
        bytes memory chain = chainWithSnapshot(checkpointer, Snapshot(0, 0));
        (,,, bytes32 image, uint256 checkpoint, bytes32 opHash) =
            single.recoverPartialSignature(Format.digest(TEXT), chain);
        same(image, Format.image(Format.signer(owner, 1), 1, 5, address(checkpointer)), "image");
        same(checkpoint, 5, "checkpoint");
        same(opHash, hash(single), "hash of the payload, not of the update");
    }

    function test_a_chain_passes_by_the_latest_configuration_or_is_refused() external {
        Checkpointer checkpointer = new Checkpointer();
        bytes32 newer = Format.image(Format.signer(guard, 1), 1, 7, address(checkpointer));
        bytes32 older = Format.image(Format.signer(owner, 1), 1, 5, address(checkpointer));
        // The latest is one of the links, or older than all of them.
        partial_(chainWithSnapshot(checkpointer, Snapshot(newer, 7)));
        partial_(chainWithSnapshot(checkpointer, Snapshot(older, 5)));
        partial_(chainWithSnapshot(checkpointer, Snapshot(NODE, 4)));
        for (uint256 checkpoint = 5; checkpoint < 9; ++checkpoint) {
            vm.expectRevert(abi.encodeWithSelector(IWallet.UnusedSnapshot.selector, Snapshot(NODE, checkpoint)));
            this.partialOfChain(checkpointer, Snapshot(NODE, checkpoint));
        }
    }

    function partialOfChain(Checkpointer checkpointer, Snapshot calldata snapshot) external view {
        partial_(chainWithSnapshot(checkpointer, snapshot));
    }

    function test_refuses_malformed_chains() external {
        refuses(IWallet.EmptyChain.selector, hex"01");
        bytes4 nested = IWallet.ChainedSignatureNestedInChainedSignature.selector;
        refuses(nested, bytes.concat(hex"01", Format.link(bytes.concat(hex"01", newest(OWNER, 0)))));
        refuses(IWallet.Truncated.selector, hex"010001");
        // The last link shows its checkpointer in the head of the chain, or nowhere.
        bytes memory last = Format.link(abi.encodePacked(hex"40", guard, hex"01", shown(owner)));
        refuses(IWallet.InvalidSignatureFlag.selector, bytes.concat(hex"01", last));
        // A static link was never signed by anybody.
        refuses(IWallet.InvalidSignatureFlag.selector, bytes.concat(hex"01", Format.link(hex"80")));
    }
}
