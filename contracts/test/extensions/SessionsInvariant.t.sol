// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Format} from "../Format.sol";
import {Call, Decoded, IWallet} from "../IWallet.sol";
import {ISessions, Permission, Rule, UsageLimit} from "./IExtensions.sol";
import {SessionFormat} from "./SessionFormat.sol";

/// @notice A session key that tries everything: honest counts, wrong ones, none, and what it sent before again.
contract Spender is Base {
    using Format for Decoded;

    uint256 private constant SESSION = 0x5e55;
    uint256 public constant TOKENS = 100;
    uint256 public constant COIN = 1 ether;
    address public constant RECEIVER = address(0x77);

    ISessions private sessions;
    IWallet private wallet;
    bytes private lastPacked;
    bytes private lastSignature;
    uint256 public accepted;
    uint256 public tokens;
    uint256 public coin;

    function setUp() public override {
        super.setUp();
        (, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), vm.getCode("artifacts/Sessions.json")));
        sessions = ISessions(address(bytes20(answer)));
        bytes32 root = Format.pair(keccak256(abi.encodePacked(uint8(4), guard)), keccak256(leaf()));
        wallet = walletOf(Format.sapient(address(sessions), 1, root), 1);
        token.mint(address(wallet), 1000);
        vm.deal(address(wallet), 10 ether);
    }

    /// @dev At most 100 tokens together, and at most 1 ether together to the receiver.
    function permissions() private view returns (Permission[] memory list) {
        list = new Permission[](2);
        list[0].target = address(token);
        list[0].rules = new Rule[](2);
        list[0].rules[0] = Rule(false, 0, bytes32(token.transfer.selector), 0, bytes32(bytes4(0xffffffff)));
        list[0].rules[1] = Rule(true, 3, bytes32(TOKENS), 36, bytes32(type(uint256).max));
        list[1].target = RECEIVER;
    }

    function leaf() private view returns (bytes memory) {
        return SessionFormat.permissions(vm.addr(SESSION), 0, COIN, 0, permissions());
    }

    // ─── What the session does ──────────────────────────────────────────────────────────────────────

    /// @dev One or two transfers of tokens and a payment; `claim` chooses what is said to have been used.
    function spend(uint256 first, uint256 second, uint256 value, uint256 claim) external {
        (first, second, value) = (first % 70, second % 70, value % 0.4 ether);
        if (claim & 8 != 0) second = type(uint256).max - first;
        (uint256 spent, uint256 sent) = (tokens + first, coin + value);
        unchecked {
            spent += second;
        }
        if (claim & 7 == 0) spent = claim >> 8;
        if (claim & 7 == 1) sent = (claim >> 8) % 2 ether;
        Call[] memory calls = new Call[](claim & 7 == 2 ? 3 : 4);
        uint256 next;
        if (calls.length == 4) calls[next++] = increment(spent, sent);
        calls[next++] = transfer(RECEIVER, first);
        calls[next++] = transfer(RECEIVER, second);
        calls[next] = call(RECEIVER, "");
        calls[next].value = value;
        // A failure that is ignored: what was counted stays counted.
        if (claim & 16 != 0) calls[next].behaviorOnError = 0;
        bring(calls);
    }

    /// @dev A payment and nothing else, counted or not.
    function pay(uint256 value, uint256 claim) external {
        Call[] memory calls = new Call[](claim % 3 == 0 ? 1 : 2);
        uint256 place = claim % 3 == 2 ? 0 : calls.length - 1;
        calls[place] = call(RECEIVER, "");
        calls[place].value = value % 0.4 ether;
        if (calls.length == 2) calls[1 - place] = paid(coin + value % 0.4 ether);
        bring(calls);
    }

    function paid(uint256 total) private view returns (Call memory) {
        UsageLimit[] memory limits = new UsageLimit[](1);
        limits[0] = UsageLimit(SessionFormat.valueUsage(vm.addr(SESSION)), total);
        return call(address(sessions), abi.encodeCall(sessions.incrementUsageLimit, (limits)));
    }

    /// @dev The same once more.
    function again() external {
        if (lastPacked.length != 0) attempt(lastPacked, lastSignature);
    }

    /// @dev Nobody's counting touches the wallet's.
    function countElsewhere(uint256 amount) external {
        UsageLimit[] memory limits = new UsageLimit[](1);
        limits[0] = UsageLimit(SessionFormat.ruleUsage(vm.addr(SESSION), permissions()[0], 1), amount);
        try sessions.incrementUsageLimit(limits) {} catch {}
    }

    // ─── Helpers ────────────────────────────────────────────────────────────────────────────────────

    function increment(uint256 spent, uint256 sent) private view returns (Call memory) {
        UsageLimit[] memory limits = new UsageLimit[](sent == 0 ? 1 : 2);
        address session = vm.addr(SESSION);
        limits[0] = UsageLimit(SessionFormat.ruleUsage(session, permissions()[0], 1), spent);
        if (sent != 0) limits[1] = UsageLimit(SessionFormat.valueUsage(session), sent);
        return call(address(sessions), abi.encodeCall(sessions.incrementUsageLimit, (limits)));
    }

    function bring(Call[] memory calls) private {
        Decoded memory payload = Format.calls(calls, 0, wallet.readNonce(0));
        bytes32 hash = hashOf(payload, wallet);
        bytes memory tree = bytes.concat(SessionFormat.identity(guard), leaf());
        bytes memory signature = abi.encodePacked(uint24(tree.length), tree, hex"00");
        for (uint256 i; i < calls.length; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(SESSION, keccak256(abi.encode(hash, i)));
            uint8 permission = calls[i].to == RECEIVER ? 1 : 0;
            signature = abi.encodePacked(signature, permission, Format.compact(v, r, s));
        }
        lastPacked = payload.pack();
        lastSignature =
            abi.encodePacked(Format.head(1), hex"99", address(sessions), uint16(signature.length), signature);
        attempt(lastPacked, lastSignature);
    }

    function attempt(bytes memory packed, bytes memory signature) private {
        try wallet.execute(packed, signature) {
            ++accepted;
        } catch {}
        tokens = counted(SessionFormat.ruleUsage(vm.addr(SESSION), permissions()[0], 1));
        coin = counted(SessionFormat.valueUsage(vm.addr(SESSION)));
    }

    function counted(bytes32 usageHash) private view returns (uint256) {
        return sessions.getLimitUsage(address(wallet), usageHash);
    }

    function tokensReceived() external view returns (uint256) {
        return token.balanceOf(RECEIVER);
    }
}

/// @notice Whatever a session does, in whatever order, it never gets more than its limits, and all it gets is counted.
contract SessionsInvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Spender private spender;

    function setUp() public {
        spender = new Spender();
        spender.setUp();
    }

    /// @dev Read by forge: what a random sequence consists of.
    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        list[0].addr = address(spender);
        list[0].selectors = new bytes4[](4);
        list[0].selectors[0] = spender.spend.selector;
        list[0].selectors[1] = spender.again.selector;
        list[0].selectors[2] = spender.countElsewhere.selector;
        list[0].selectors[3] = spender.pay.selector;
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(spender);
    }

    /// forge-config: default.invariant.runs = 24
    /// forge-config: default.invariant.depth = 40
    function invariant_a_session_never_gets_more_than_its_limits() external view {
        uint256 tokens = spender.tokensReceived();
        uint256 coin = spender.RECEIVER().balance;
        require(tokens <= spender.TOKENS() && tokens == spender.tokens(), "tokens");
        require(coin <= spender.COIN() && coin == spender.coin(), "coin");
    }

    /// @dev The invariant would also hold if nothing were ever accepted.
    function test_the_spender_spends() external {
        spender.spend(60, 0, 0.3 ether, 3);
        spender.spend(30, 10, 0.3 ether, 3);
        require(spender.accepted() == 2 && spender.tokensReceived() == 100, "not spent");
        spender.spend(1, 0, 0, 3);
        spender.spend(0, 0, 0, 2);
        spender.again();
        require(spender.accepted() == 2, "spent more");
        spender.spend(0, 0, 0.39 ether, 3);
        require(spender.accepted() == 3 && spender.RECEIVER().balance == 0.99 ether, "coin not sent");
        spender.pay(0.01 ether, 1);
        require(spender.accepted() == 4 && spender.RECEIVER().balance == 1 ether, "coin not paid");
        // Uncounted, late, or too much; and nothing, uncounted.
        spender.pay(1, 0);
        spender.pay(1, 2);
        spender.pay(1, 1);
        require(spender.accepted() == 4, "paid more");
        spender.pay(0, 0);
        require(spender.accepted() == 5, "nothing was refused");
    }
}
