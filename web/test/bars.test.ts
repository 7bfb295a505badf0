import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bars, summarize, tick } from '../src/bars.ts';

type Trade = [time: number, price: number, size: number];

function made(step: number, ...trades: Trade[]): Bars {
  const bars = new Bars(step);
  for (const trade of trades) bars.add(tick(...trade));
  return bars;
}

const all = (bars: Bars) => Array.from({ length: bars.length }, (_, i) => bars.at(i));
const starts = (bars: Bars) => all(bars).map((bar) => bar.start);

test('trades of one second make one bar', () => {
  const bars = made(1, [10.1, 5, 1], [10.5, 7, 2], [10.9, 6, 1]);
  assert.deepEqual(all(bars), [{ start: 10, open: 5, high: 7, low: 5, close: 6, volume: 4, turnover: 25 }]);
});

test('seconds without trades have no bar', () => {
  assert.deepEqual(starts(made(1, [10, 5, 1], [13, 5, 1])), [10, 13]);
});

test('a late trade finds its bar or makes it', () => {
  const bars = made(1, [10, 5, 1], [13, 5, 1], [10.5, 9, 1], [11.5, 4, 1]);
  assert.deepEqual(starts(bars), [10, 11, 13]);
  assert.equal(bars.at(0).high, 9);
  assert.equal(bars.at(1).low, 4);
});

test('longer bars say the same whether made from trades or from shorter bars', () => {
  const trades: Trade[] = [
    [58, 5, 1],
    [59.9, 8, 1],
    [60, 3, 2],
    [64.2, 4, 1],
    [120, 6, 1],
  ];
  assert.deepEqual(all(made(1, ...trades).regroup(60)), all(made(60, ...trades)));
});

test('many bars grow the columns without losing any', () => {
  const bars = made(1, ...Array.from({ length: 5000 }, (_, i): Trade => [i, i, 1]));
  assert.equal(bars.length, 5000);
  assert.deepEqual(bars.at(4321), {
    start: 4321,
    open: 4321,
    high: 4321,
    low: 4321,
    close: 4321,
    volume: 1,
    turnover: 4321,
  });
});

test('the oldest bars go when there are more than can be kept', () => {
  const bars = new Bars(1);
  for (let i = 0; i <= 131072; i++) bars.add(tick(i, 1, 1));
  assert.equal(bars.length, 98305);
  assert.equal(bars.at(0).start, 32768);
  assert.equal(bars.at(bars.length - 1).start, 131072);
});

test('a snapshot replaces the end and keeps what is older', () => {
  const bars = made(1, [10, 1, 1], [11, 1, 5], [12, 1, 1], [13, 1, 1]);
  bars.splice(made(1, [11.5, 2, 3], [12, 2, 2], [15, 2, 2]));
  assert.deepEqual(starts(bars), [10, 11, 12, 15]);
  assert.deepEqual(
    all(bars).map((bar) => bar.volume),
    [1, 5, 2, 2],
  );
});

test("a snapshot's first bar wins if it has seen more than ours", () => {
  const bars = made(1, [10, 1, 1], [11, 1, 1]);
  bars.splice(made(1, [11, 1, 1], [11.4, 3, 2]));
  assert.deepEqual(
    all(bars).map((bar) => bar.volume),
    [1, 3],
  );
});

test('a snapshot taken twice changes nothing', () => {
  const snapshot = made(1, [10, 1, 1], [11, 2, 1], [13, 3, 1]);
  const bars = made(1);
  bars.splice(snapshot);
  bars.splice(snapshot);
  assert.deepEqual(all(bars), all(snapshot));
});

test('an empty snapshot changes nothing', () => {
  const bars = made(1, [10, 1, 1]);
  bars.splice(made(1));
  assert.deepEqual(starts(bars), [10]);
});

test('positions on the ordinal axis', () => {
  const bars = made(1, [10, 1, 1], [11, 1, 1], [20, 1, 1]);
  assert.equal(bars.position(9), -0.5);
  assert.equal(bars.position(10.5), 0);
  assert.equal(bars.position(15), 1.5);
  assert.equal(bars.position(20), 1.5);
  assert.equal(bars.position(99), 2.5);
});

test('locate agrees with a linear search', () => {
  const bars = made(1, [10, 1, 1], [11, 1, 1], [20, 1, 1], [21, 1, 1]);
  for (let time = 8; time < 24; time += 0.5) {
    assert.equal(
      bars.locate(time),
      starts(bars).findLastIndex((start) => start <= time),
    );
  }
});

test('the summary of all bars', () => {
  const bars = made(1, [10, 100, 1], [11, 90, 1], [12, 110, 2]);
  const told = summarize(bars);
  assert.ok(told);
  assert.equal(told.change.toFixed(4), '0.1000');
  assert.deepEqual(
    { ...told, change: 0 },
    { since: 10, change: 0, high: 110, low: 90, volume: 4, vwap: 102.5 },
  );
  assert.equal(summarize(made(1)), null);
});
