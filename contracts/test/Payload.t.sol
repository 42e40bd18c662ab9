// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Call, Decoded, IWallet} from "./IWallet.sol";

contract PayloadTest is Base {
    using Format for Decoded;

    /// @dev The wallet of the published hashes: Rc5's for the image of a single signer 0x11…11.
    IWallet private constant VECTOR = IWallet(0x9216F3b1AB1A872Bed72da41d0832e285F8A7De6);
    address private constant A = 0x1111111111111111111111111111111111111111;
    address private constant B = 0x2222222222222222222222222222222222222222;
    address private constant C = 0x3333333333333333333333333333333333333333;

    function setUp() public override {
        super.setUp();
        vm.etch(address(VECTOR), stage2.code);
    }

    function opHash(Decoded memory payload, bool noChainId) private view returns (bytes32 hash) {
        bytes memory signature = abi.encodePacked(uint8(noChainId ? 2 : 0), uint8(1), shown(A));
        (,,,,, hash) = VECTOR.recoverPartialSignature(payload, signature);
    }

    function erc20() private pure returns (Decoded memory) {
        bytes memory data = abi.encodeWithSelector(hex"a9059cbb", C, uint256(100));
        return Format.calls(list(call(B, data)), 0, 0);
    }

    // ─── Published hashes, on chain 1 ───────────────────────────────────────────────────────────────

    function test_calls_match_published_hashes() external view {
        same(block.chainid, 1, "chain");
        same(opHash(erc20(), false), 0x810944a35254a18e4ddf0250a16637dcd17ea7c92dfe67c58c93bfc7a10b92cb, "chain 1");
        same(opHash(erc20(), true), 0xb58a691dd1b932f686345a2a8c2baeab5901927fba3f45b4bb96e0486b686629, "any chain");
    }

    function test_parent_wallets_match_published_hash() external view {
        Decoded memory payload = erc20();
        payload.parentWallets = new address[](2);
        (payload.parentWallets[0], payload.parentWallets[1]) = (A, B);
        same(opHash(payload, false), 0xa73e78d2c252b549dec85d88c33e331778a53cd119bc39ca082f4e38ff821b42, "hash");
    }

    function test_message_and_its_digest_match_published_hash() external view {
        bytes32 expected = 0x95e9179151426b85e6ce98174d1b37e2712b5d821ca4f9013a27e9deb4d00c01;
        Decoded memory message;
        message.kind = 1;
        message.message = "hello";
        same(opHash(message, false), expected, "message");
        same(opHash(Format.digest(keccak256("hello")), false), expected, "digest");
    }

    function test_config_update_matches_published_hash() external view {
        bytes32 image = 0xabababababababababababababababababababababababababababababababab;
        bytes32 expected = 0x399369c4669f4b7301cac5dd5c624c5edd4db3b59c925228a2cda3d7b2300876;
        same(opHash(Format.update(image), true), expected, "hash");
    }

    function test_second_reading_agrees_with_published_hash() external pure {
        bytes32 expected = 0x810944a35254a18e4ddf0250a16637dcd17ea7c92dfe67c58c93bfc7a10b92cb;
        same(erc20().hash(address(VECTOR), 1), expected, "hash");
    }

    function test_unknown_kind_has_no_hash() external {
        Decoded memory payload;
        payload.kind = 4;
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidKind.selector, 4));
        VECTOR.recoverPartialSignature(payload, abi.encodePacked(uint8(0), uint8(1), shown(A)));
    }

    // ─── Packed calls ───────────────────────────────────────────────────────────────────────────────

    /// @dev Runs packed calls as the wallet itself, which needs no signature.
    function run(bytes memory packed) private {
        vm.prank(address(single));
        single.selfExecute(packed);
    }

    function test_shortest_native_transfer() external {
        run(abi.encodePacked(hex"1142", address(0x77), uint256(5)));
        same(address(0x77).balance, 5, "balance");
    }

    function test_call_to_self_needs_no_address() external {
        bytes memory data = abi.encodeCall(IWallet.addHook, (bytes4(0x01020304), A));
        run(abi.encodePacked(hex"1145", uint24(data.length), data));
        same(single.readHook(0x01020304), A, "hook");
    }

    function test_wide_count() external {
        bytes memory one = abi.encodePacked(hex"42", address(0x77), uint256(1));
        bytes memory all;
        for (uint256 i; i < 300; ++i) all = bytes.concat(all, one);
        run(abi.encodePacked(hex"21", uint16(300), all));
        same(address(0x77).balance, 300, "balance");
    }

    function test_refuses_trailing_bytes() external {
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidPackedLength.selector));
        run(abi.encodePacked(hex"1142", address(0x77), uint256(5), hex"00"));
    }

    function test_refuses_every_truncation() external {
        bytes memory whole = Format.calls(list(transfer(address(0x77), 1)), 1, 2).pack();
        for (uint256 length; length < whole.length; ++length) {
            bytes memory part = new bytes(length);
            for (uint256 i; i < length; ++i) part[i] = whole[i];
            vm.expectRevert(abi.encodeWithSelector(IWallet.Truncated.selector));
            run(part);
        }
        run(whole);
        same(received(), 1, "received");
    }

    function test_refuses_behavior_three() external {
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidPackedFlag.selector, 0xc2));
        run(abi.encodePacked(hex"11c2", address(0x77), uint256(5)));
    }

    function test_refuses_unknown_global_flags() external {
        for (uint256 i; i < 3; ++i) {
            uint8 flags = uint8([0x51, 0x91, 0x31][i]);
            vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidPackedFlag.selector, flags));
            run(abi.encodePacked(flags, hex"42", address(0x77), uint256(5)));
        }
    }

    /// @dev The wide packing of the tests and the reader of the contract agree on every field.
    function testFuzz_packed_calls_hash_as_given(Call memory only, uint160 space, uint56 nonce) external {
        only.behaviorOnError %= 3;
        Decoded memory payload = Format.calls(list(only), space, nonce);
        vm.recordLogs();
        only.onlyFallback = true; // Skipped: only the hash in the event is of interest.
        run(payload.pack());
        same(vm.getRecordedLogs()[0].topics[1], hashOf(payload, single), "hash");
    }
}
