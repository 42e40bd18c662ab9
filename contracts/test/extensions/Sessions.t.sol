// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Format} from "../Format.sol";
import {Call, Decoded, IWallet} from "../IWallet.sol";
import {
    Attestation,
    AuthData,
    Clock,
    ISessions,
    Permission,
    Rule,
    UsageLimit
} from "./IExtensions.sol";
import {SessionFormat} from "./SessionFormat.sol";

/// @notice Welcomes the sessions of one app.
contract Welcoming {
    uint256 public calls;
    bool public lies;

    function lie() external {
        lies = true;
    }

    function acceptImplicitRequest(address wallet, Attestation calldata a, Call calldata)
        external
        view
        returns (bytes32)
    {
        if (lies) return keccak256("yes");
        return keccak256(abi.encodePacked(keccak256("acceptImplicitRequest"), wallet, a.audienceHash, a.issuerHash));
    }

    function work() external payable {
        calls++;
    }
}

contract SessionsTest is Base {
    using Format for Decoded;

    Clock internal constant clock = Clock(address(vm));
    uint256 internal constant IDENTITY = 0x1d;
    uint256 internal constant SESSION = 0x5e55;
    uint256 internal constant IMPLICIT = 0x1397;
    uint64 internal constant DEADLINE = 2_000_000_000;
    uint256 internal constant NOW = 1_800_000_000;
    bytes32 internal constant ALL = bytes32(type(uint256).max);

    ISessions internal sessions;
    Welcoming internal app;
    IWallet internal wallet;
    address internal identitySigner;
    address internal session;
    address internal implicitKey;
    address[] internal denied;

    /// @dev At most 100 tokens together, to anybody; at most 1 ether together, to `app.work()`.
    function setUp() public override {
        super.setUp();
        clock.warp(NOW);
        bytes memory code = vm.getCode("artifacts/Sessions.json");
        (, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), code));
        sessions = ISessions(address(bytes20(answer)));
        app = new Welcoming();
        identitySigner = vm.addr(IDENTITY);
        session = vm.addr(SESSION);
        implicitKey = vm.addr(IMPLICIT);
        wallet = walletOf(Format.sapient(address(sessions), 1, root()), 1);
        token.mint(address(wallet), 1000);
        vm.deal(address(wallet), 10 ether);
    }

    // ─── What the tests make ────────────────────────────────────────────────────────────────────────

    function rule(bool cumulative, uint8 operation, uint256 value, uint256 offset) internal pure returns (Rule memory) {
        return Rule(cumulative, operation, bytes32(value), offset, ALL);
    }

    function tokenPermission() internal view returns (Permission memory permission) {
        permission.target = address(token);
        permission.rules = new Rule[](2);
        // transfer(address,uint256), and the amounts of all calls together.
        permission.rules[0] =
            Rule(false, 0, bytes32(token.transfer.selector), 0, bytes32(bytes4(0xffffffff)));
        permission.rules[1] = rule(true, 3, 100, 36);
    }

    function appPermission() internal view returns (Permission memory permission) {
        permission.target = address(app);
    }

    function leaf() internal view returns (bytes memory) {
        Permission[] memory list = new Permission[](2);
        (list[0], list[1]) = (tokenPermission(), appPermission());
        return SessionFormat.permissions(session, block.chainid, 1 ether, DEADLINE, list);
    }

    function tree() internal view returns (bytes memory) {
        return bytes.concat(
            SessionFormat.blacklist(denied), SessionFormat.branch(bytes.concat(SessionFormat.identity(identitySigner), leaf()))
        );
    }

    /// @dev Folds one level of `tree()`, as the format says.
    function root() internal view returns (bytes32) {
        bytes memory list;
        for (uint256 i; i < denied.length; ++i) {
            list = abi.encodePacked(list, denied[i]);
        }
        bytes32 right =
            Format.pair(keccak256(abi.encodePacked(uint8(4), identitySigner)), keccak256(leaf()));
        return Format.pair(keccak256(bytes.concat(hex"03", list)), right);
    }

    function attestation() internal view returns (Attestation memory) {
        return Attestation(
            implicitKey,
            0x00000002,
            keccak256("issuer"),
            keccak256("audience"),
            "data",
            AuthData("https://app.example/callback", uint64(NOW - 60))
        );
    }

    function sign64(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return Format.compact(v, r, s);
    }

    function sized(bytes memory bytes_) internal pure returns (bytes memory) {
        return abi.encodePacked(uint24(bytes_.length), bytes_);
    }

    /// @dev Signs each call with the key, under the permission or attestation, that stands in the same place.
    function sessionSignature(Decoded memory payload, uint8[] memory flags, bytes memory attestations, uint256 key)
        internal
        view
        returns (bytes memory out)
    {
        out = bytes.concat(sized(tree()), attestations);
        bytes32 hash = hashOf(payload, wallet);
        for (uint256 i; i < payload.calls.length; ++i) {
            out = abi.encodePacked(out, flags[i], sign64(key, keccak256(abi.encode(hash, i))));
        }
    }

    function explicitSignature(Decoded memory payload, uint8[] memory flags) internal view returns (bytes memory) {
        return sessionSignature(payload, flags, hex"00", SESSION);
    }

    function attested(uint256 key) internal view returns (bytes memory) {
        bytes memory packed = SessionFormat.attestation(attestation());
        return bytes.concat(hex"01", packed, sign64(key, keccak256(packed)));
    }

    function execute(Decoded memory payload, bytes memory signature) internal {
        bytes memory whole =
            abi.encodePacked(Format.head(1), hex"99", address(sessions), uint16(signature.length), signature);
        wallet.execute(payload.pack(), whole);
    }

    function refuses(Decoded memory payload, bytes memory signature, bytes4 selector) internal {
        vm.prank(address(wallet));
        try sessions.recoverSapientSignature(payload, signature) {
            check(false, "accepted");
        } catch (bytes memory error_) {
            check(bytes4(error_) == selector, "another reason");
        }
        bytes memory whole =
            abi.encodePacked(Format.head(1), hex"99", address(sessions), uint16(signature.length), signature);
        vm.expectRevert();
        wallet.execute(payload.pack(), whole);
    }

    function flag(uint8 value) internal pure returns (uint8[] memory list) {
        list = new uint8[](1);
        list[0] = value;
    }

    function flags2(uint8 one, uint8 two) internal pure returns (uint8[] memory list) {
        list = new uint8[](2);
        (list[0], list[1]) = (one, two);
    }

    function payloadOf(Call memory one) internal view returns (Decoded memory) {
        return Format.calls(list(one), 0, wallet.readNonce(0));
    }

    function payloadOf(Call memory one, Call memory two) internal view returns (Decoded memory) {
        Call[] memory calls = new Call[](2);
        (calls[0], calls[1]) = (one, two);
        return Format.calls(calls, 0, wallet.readNonce(0));
    }

    function increment(UsageLimit[] memory limits) internal view returns (Call memory) {
        return call(address(sessions), abi.encodeCall(sessions.incrementUsageLimit, (limits)));
    }

    function limit(bytes32 usageHash, uint256 amount) internal pure returns (UsageLimit[] memory limits) {
        limits = new UsageLimit[](1);
        limits[0] = UsageLimit(usageHash, amount);
    }

    function tokenUsage() internal view returns (bytes32) {
        return SessionFormat.ruleUsage(session, tokenPermission(), 1);
    }

    function spend(uint256 amount, uint256 total) internal view returns (Decoded memory) {
        return payloadOf(increment(limit(tokenUsage(), total)), transfer(address(0x77), amount));
    }

    function work(uint256 value) internal view returns (Call memory c) {
        c = call(address(app), abi.encodeCall(app.work, ()));
        c.value = value;
    }

    // ─── Vectors of the format, section 12 ──────────────────────────────────────────────────────────

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

    // ─── Explicit sessions ──────────────────────────────────────────────────────────────────────────

    function test_a_session_calls_what_it_may() external {
        Decoded memory payload = payloadOf(work(0));
        execute(payload, explicitSignature(payload, flag(1)));
        same(app.calls(), 1, "not called");
    }

    function test_a_session_spends_within_its_limits() external {
        Decoded memory payload = spend(60, 60);
        execute(payload, explicitSignature(payload, flags2(0, 0)));
        payload = spend(40, 100);
        execute(payload, explicitSignature(payload, flags2(0, 0)));
        same(received(), 100, "not received");
        same(sessions.getLimitUsage(address(wallet), tokenUsage()), 100, "not counted");
    }

    function test_a_session_cannot_spend_more_than_its_limit_over_time() external {
        Decoded memory payload = spend(60, 60);
        execute(payload, explicitSignature(payload, flags2(0, 0)));
        payload = spend(41, 101);
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidPermission.selector);
    }

    function test_a_session_cannot_spend_more_than_its_limit_in_one_payload() external {
        Call[] memory calls = new Call[](3);
        calls[0] = increment(limit(tokenUsage(), 120));
        calls[1] = transfer(address(0x77), 60);
        calls[2] = transfer(address(0x77), 60);
        Decoded memory payload = Format.calls(calls, 0, 0);
        uint8[] memory flags = new uint8[](3);
        refuses(payload, explicitSignature(payload, flags), ISessions.InvalidPermission.selector);
    }

    function test_a_session_cannot_leave_out_or_misstate_what_it_uses() external {
        Decoded memory payload = payloadOf(transfer(address(0x77), 60));
        refuses(payload, explicitSignature(payload, flag(0)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = spend(60, 59);
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = spend(60, 61);
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = payloadOf(increment(limit(keccak256("other"), 60)), transfer(address(0x77), 60));
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_the_counting_must_be_sure_to_happen() external {
        Decoded memory payload = spend(60, 60);
        payload.calls[0].behaviorOnError = 0;
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = spend(60, 60);
        payload.calls[0].onlyFallback = true;
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
        // And where there is nothing to count, or later, there is no counting.
        payload = payloadOf(increment(new UsageLimit[](0)), work(0));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = payloadOf(transfer(address(0x77), 60), increment(limit(tokenUsage(), 60)));
        refuses(payload, explicitSignature(payload, flags2(0, 0)), ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_coin_has_a_limit_over_time() external {
        Decoded memory payload =
            payloadOf(increment(limit(SessionFormat.valueUsage(session), 0.6 ether)), work(0.6 ether));
        execute(payload, explicitSignature(payload, flags2(0, 1)));
        same(address(app).balance, 0.6 ether, "not received");
        payload = payloadOf(increment(limit(SessionFormat.valueUsage(session), 1.1 ether)), work(0.5 ether));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidValue.selector);
    }

    function test_what_was_sent_before_need_not_be_repeated() external {
        bytes32 sent = SessionFormat.valueUsage(session);
        Decoded memory payload = payloadOf(increment(limit(sent, 1 ether)), work(1 ether));
        execute(payload, explicitSignature(payload, flags2(0, 1)));
        // Nothing is left to be sent, and this sends nothing.
        payload = payloadOf(work(0));
        execute(payload, explicitSignature(payload, flag(1)));
        // As the format has it, with the old total.
        payload = payloadOf(increment(limit(sent, 1 ether)), work(0));
        execute(payload, explicitSignature(payload, flags2(0, 1)));
        same(app.calls(), 3, "not called");
        same(sessions.getLimitUsage(address(wallet), sent), 1 ether, "not counted");
        // Once there is such a call it says the total, not less.
        payload = payloadOf(increment(new UsageLimit[](0)), work(0));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidLimitUsageIncrement.selector);
        payload = payloadOf(increment(limit(sent, 0)), work(0));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_coin_is_never_sent_uncounted() external {
        bytes4 reason = ISessions.InvalidLimitUsageIncrement.selector;
        bytes32 sent = SessionFormat.valueUsage(session);
        Decoded memory payload = payloadOf(increment(limit(sent, 0.6 ether)), work(0.6 ether));
        execute(payload, explicitSignature(payload, flags2(0, 1)));
        // Below, at and above what is left, and what the limit is by itself.
        uint256[6] memory amounts = [uint256(1), 0.3 ether, 0.4 ether, 0.4 ether + 1, 1 ether, 1 ether + 1];
        for (uint256 i; i < amounts.length; ++i) {
            payload = payloadOf(work(amounts[i]));
            refuses(payload, explicitSignature(payload, flag(1)), reason);
            payload = payloadOf(work(0), work(amounts[i]));
            refuses(payload, explicitSignature(payload, flags2(1, 1)), reason);
            // Counted second, which is too late, and that alone.
            payload = payloadOf(work(amounts[i]), increment(limit(sent, 0.6 ether + amounts[i])));
            refuses(payload, explicitSignature(payload, flags2(1, 0)), reason);
            payload = payloadOf(work(0), increment(limit(sent, 0.6 ether)));
            refuses(payload, explicitSignature(payload, flags2(1, 0)), reason);
        }
        // Counted first, but only if something fails; and counting that may fail.
        payload = payloadOf(increment(limit(sent, 0.7 ether)), work(0.1 ether));
        payload.calls[0].onlyFallback = true;
        refuses(payload, explicitSignature(payload, flags2(0, 1)), reason);
        payload.calls[0].onlyFallback = false;
        payload.calls[0].behaviorOnError = 0;
        refuses(payload, explicitSignature(payload, flags2(0, 1)), reason);
        // A total that wraps to where it was.
        payload = payloadOf(increment(limit(sent, 0.6 ether)), work(type(uint256).max));
        refuses(payload, explicitSignature(payload, flags2(0, 1)), ISessions.InvalidValue.selector);
        same(address(app).balance, 0.6 ether, "sent");
    }

    function testFuzz_coin_is_never_sent_uncounted(uint256 amount, bool second) external {
        if (amount == 0) amount = 1;
        Decoded memory payload = second ? payloadOf(work(0), work(amount)) : payloadOf(work(amount), work(0));
        refuses(payload, explicitSignature(payload, flags2(1, 1)), ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_a_rule_about_a_total_is_never_used_uncounted() external {
        bytes4 reason = ISessions.InvalidLimitUsageIncrement.selector;
        uint256[4] memory amounts = [uint256(0), 99, 100, 101];
        for (uint256 i; i < amounts.length; ++i) {
            Decoded memory payload = payloadOf(transfer(address(0x77), amounts[i]));
            refuses(payload, explicitSignature(payload, flag(0)), reason);
            payload = payloadOf(work(0), transfer(address(0x77), amounts[i]));
            refuses(payload, explicitSignature(payload, flags2(1, 0)), reason);
        }
    }

    /// @dev A second session, of which nothing is counted because of the first, and the other way round.
    function test_of_two_sessions_each_is_counted() external {
        bytes4 reason = ISessions.InvalidLimitUsageIncrement.selector;
        uint256 other = 0x0709;
        Permission[] memory one = new Permission[](1);
        one[0] = appPermission();
        bytes memory otherLeaf = SessionFormat.permissions(vm.addr(other), 0, 1 ether, 0, one);
        bytes memory wire = bytes.concat(SessionFormat.identity(identitySigner), leaf(), otherLeaf);
        UsageLimit[] memory both = new UsageLimit[](2);
        both[0] = UsageLimit(SessionFormat.valueUsage(session), 2);
        both[1] = UsageLimit(SessionFormat.valueUsage(vm.addr(other)), 3);
        // What both have sent before.
        vm.prank(address(wallet));
        sessions.incrementUsageLimit(both);

        // One sends nothing, the other something, without counting.
        same(byTwo(wire, payloadOf(work(0), work(1)), other), reason);
        same(byTwo(wire, payloadOf(work(1), work(0)), other), reason);
        // Both send nothing.
        same(byTwo(wire, payloadOf(work(0), work(0)), other), 0);
        // Counted: all that both have ever sent, though one sends nothing.
        both[1].usageAmount = 4;
        same(byTwo(wire, payloadOf(increment(both), work(1)), other), 0);
        same(byTwo(wire, payloadOf(increment(limit(both[1].usageHash, 4)), work(1)), other), reason);
        same(byTwo(wire, payloadOf(increment(limit(both[0].usageHash, 3)), work(1)), other), reason);
        (both[0], both[1]) = (both[1], both[0]);
        same(byTwo(wire, payloadOf(increment(both), work(1)), other), reason);
    }

    /// @dev Why a payload is refused whose first call the session signed, and whose second the other; zero if it
    /// is not.
    function byTwo(bytes memory wire, Decoded memory payload, uint256 other) internal returns (bytes4) {
        bytes32 hash = hashOf(payload, wallet);
        uint8 first = payload.calls[0].to == address(app) ? 1 : 0;
        bytes memory signature = abi.encodePacked(sized(wire), hex"00", first);
        signature = bytes.concat(signature, sign64(SESSION, keccak256(abi.encode(hash, 0))));
        signature = abi.encodePacked(signature, uint8(0), sign64(other, keccak256(abi.encode(hash, 1))));
        vm.prank(address(wallet));
        try sessions.recoverSapientSignature(payload, signature) {
            return 0;
        } catch (bytes memory error_) {
            return bytes4(error_);
        }
    }

    function same(bytes4 actual, bytes4 expected) internal pure {
        check(actual == expected, "another reason");
    }

    /// @dev Implicit and explicit together: what comes without counting in front of it is not counted.
    function test_an_implicit_call_in_front_counts_nothing() external {
        Decoded memory payload = payloadOf(work(0), work(1));
        bytes32 hash = hashOf(payload, wallet);
        bytes memory signature = abi.encodePacked(
            sized(tree()), attested(IDENTITY), hex"80", sign64(IMPLICIT, keccak256(abi.encode(hash, 0)))
        );
        signature = abi.encodePacked(signature, uint8(1), sign64(SESSION, keccak256(abi.encode(hash, 1))));
        refuses(payload, signature, ISessions.InvalidLimitUsageIncrement.selector);
    }

    function test_a_session_cannot_call_another_contract_or_function() external {
        Decoded memory payload = payloadOf(call(address(0x77), ""));
        refuses(payload, explicitSignature(payload, flag(1)), ISessions.InvalidPermission.selector);
        payload = payloadOf(call(address(token), abi.encodeCall(token.mint, (session, 1))));
        refuses(payload, explicitSignature(payload, flag(0)), ISessions.InvalidPermission.selector);
        payload = payloadOf(work(0));
        refuses(payload, explicitSignature(payload, flag(2)), ISessions.MissingPermission.selector);
    }

    function test_a_rule_beyond_the_data_is_not_kept() external {
        // The amount is missing; what follows it in calldata is nobody's word.
        Call memory short = call(address(token), abi.encodePacked(token.transfer.selector, uint256(0x77)));
        Decoded memory payload = payloadOf(short);
        refuses(payload, explicitSignature(payload, flag(0)), ISessions.InvalidPermission.selector);
    }

    function test_a_selector_alone_can_be_asked_for() external {
        Permission memory permission = appPermission();
        permission.rules = new Rule[](1);
        permission.rules[0] = Rule(false, 0, bytes32(app.work.selector), 0, bytes32(bytes4(0xffffffff)));
        same(shownWith(permission, work(0)), true, "work()");
        same(shownWith(permission, call(address(app), abi.encodeCall(app.lie, ()))), false, "lie()");
        // Three bytes are not the selector, whatever stands behind them.
        same(shownWith(permission, call(address(app), abi.encodePacked(bytes3(app.work.selector)))), false, "short");
        // Nor may a mask look past the end.
        permission.rules[0].mask = bytes32(bytes5(0xffffffffff));
        same(shownWith(permission, work(0)), false, "fifth byte");
        permission.rules[0].mask = 0;
        same(shownWith(permission, work(0)), false, "looks at nothing");
        permission.rules[0] = rule(false, 0, 0, type(uint256).max);
        same(shownWith(permission, work(0)), false, "far away");
    }

    /// @dev Whether a session with this permission alone may make the call.
    function shownWith(Permission memory permission, Call memory what) internal returns (bool) {
        Permission[] memory one = new Permission[](1);
        one[0] = permission;
        bytes memory wire = bytes.concat(
            SessionFormat.identity(identitySigner), SessionFormat.permissions(session, 0, 0, 0, one)
        );
        Decoded memory payload = payloadOf(what);
        bytes memory signature = abi.encodePacked(
            sized(wire), hex"0000", sign64(SESSION, keccak256(abi.encode(hashOf(payload, wallet), 0)))
        );
        vm.prank(address(wallet));
        try sessions.recoverSapientSignature(payload, signature) {
            return true;
        } catch {
            return false;
        }
    }

    function same(bool actual, bool expected, string memory what) internal pure {
        check(actual == expected, what);
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

    function test_a_session_cannot_act_as_the_wallet() external {
        Call memory c = work(0);
        c.delegateCall = true;
        Decoded memory payload = payloadOf(c);
        refuses(payload, explicitSignature(payload, flag(1)), ISessions.InvalidDelegateCall.selector);
        payload = payloadOf(call(address(wallet), abi.encodeCall(wallet.updateImageHash, (keccak256("mine")))));
        refuses(payload, explicitSignature(payload, flag(1)), ISessions.InvalidSelfCall.selector);
        c = work(0);
        c.behaviorOnError = 2;
        payload = payloadOf(c);
        refuses(payload, explicitSignature(payload, flag(1)), ISessions.InvalidBehavior.selector);
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

    function test_counters_never_fall_and_are_each_wallets_own() external {
        sessions.incrementUsageLimit(limit(tokenUsage(), 7));
        same(sessions.getLimitUsage(address(this), tokenUsage()), 7, "own");
        same(sessions.getLimitUsage(address(wallet), tokenUsage()), 0, "another's");
        UsageLimit[] memory less = limit(tokenUsage(), 6);
        vm.expectPartialRevert(ISessions.InvalidLimitUsageIncrement.selector);
        sessions.incrementUsageLimit(less);
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

    // ─── Trees ──────────────────────────────────────────────────────────────────────────────────────

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

    function test_an_unknown_comparison_is_refused() external {
        bytes memory wire = tree();
        // The flags of the first rule of the first permission.
        uint256 place = wire.length - 21 - 97;
        check(wire[place] == 0x07, "not where it was thought to be");
        wire[place] = 0x08;
        Decoded memory payload = payloadOf(transfer(address(0x77), 1));
        bytes memory signature = abi.encodePacked(
            sized(wire), hex"0000", sign64(SESSION, keccak256(abi.encode(hashOf(payload, wallet), 0)))
        );
        vm.prank(address(wallet));
        vm.expectPartialRevert(ISessions.InvalidParameterOperation.selector);
        sessions.recoverSapientSignature(payload, signature);
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

    /// @dev A session for every chain that may call `app`, and its signature over `hash`.
    function everywhere(bytes32 hash) internal view returns (bytes memory) {
        Permission[] memory one = new Permission[](1);
        one[0] = appPermission();
        bytes memory wire = bytes.concat(
            SessionFormat.identity(identitySigner), SessionFormat.permissions(session, 0, 0, 0, one)
        );
        return abi.encodePacked(sized(wire), hex"0000", sign64(SESSION, keccak256(abi.encode(hash, 0))));
    }

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

    function test_a_payload_that_is_not_the_abis_form_is_refused() external {
        Decoded memory payload = payloadOf(work(0));
        bytes memory signature = everywhere(hashOf(payload, wallet));
        bytes memory good = abi.encodeCall(sessions.recoverSapientSignature, (payload, signature));
        same(answers(good, 0, 0), true, "good");
        // After the selector: two offsets, then the payload. Calls and parent wallets far away, or just behind the
        // end; booleans of two; the only call far away, its address too wide, its booleans of two, its data too long.
        uint256 words = 4 + 64;
        uint256 first = words + 9 * 32 + 64;
        same(answers(good, words + 32, 2), false, "noChainId");
        same(answers(good, words + 64, type(uint256).max), false, "calls before");
        same(answers(good, words + 64, good.length), false, "calls behind");
        same(answers(good, words + 256, type(uint256).max - 64), false, "parents before");
        same(answers(good, words + 256, good.length), false, "parents behind");
        same(answers(good, words + 9 * 32, type(uint256).max / 32 + 2), false, "count that wraps");
        same(answers(good, words + 9 * 32 + 32, good.length), false, "call behind");
        same(answers(good, words + 9 * 32 + 32, type(uint256).max - 63), false, "call before");
        same(answers(good, first, uint256(uint160(address(app))) | 1 << 160), false, "wide address");
        same(answers(good, first + 128, 2), false, "delegateCall");
        same(answers(good, first + 160, 2), false, "onlyFallback");
        same(answers(good, first + 64, good.length), false, "data behind");
        same(answers(good, first + 224, good.length), false, "data too long");
        same(answers(good, first + 224, type(uint256).max), false, "data that wraps");
    }

    /// @dev Whether the call still answers with one word of it replaced.
    function answers(bytes memory callData, uint256 place, uint256 word) internal returns (bool success) {
        callData = bytes.concat(callData);
        if (place != 0) {
            assembly {
                mstore(add(add(callData, 0x20), place), word)
            }
        }
        vm.prank(address(wallet));
        (success,) = address(sessions).staticcall(callData);
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
