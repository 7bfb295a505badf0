import assert from 'node:assert/strict';
import { test } from 'node:test';
import { View } from '../src/view.ts';

const extent = (count: number) => ({ count, width: 500 });

test('the newest bar stays at the right edge', () => {
  const view = new View(10);
  const [left, right] = view.range(extent(100));
  assert.equal(right - left, 50);
  view.grow(3);
  assert.equal(view.range(extent(103))[1], right + 3);
});

test('who looks at the past keeps looking at it when bars come', () => {
  const view = new View(10);
  view.pan(20, extent(100));
  const before = view.range(extent(100));
  view.grow(5);
  assert.deepEqual(view.range(extent(105)), before);
});

test('zoom keeps what is under the cursor', () => {
  const view = new View(10);
  view.pan(20, extent(100));
  const under = (fromRight: number) => view.range(extent(100))[1] - fromRight / view.space;
  const before = under(200);
  view.zoom(1.5, 200, extent(100));
  assert.equal(under(200).toFixed(9), before.toFixed(9));
});

test('zoom does not leave the market', () => {
  const view = new View(10);
  view.zoom(2, 200, extent(100));
  assert.equal(view.back, 0);
});

test('the view ends at both ends of the data', () => {
  const view = new View(10);
  view.pan(-7, extent(100));
  assert.equal(view.back, 0);
  view.pan(Infinity, extent(100));
  assert.equal(view.range(extent(100))[0], -1);
  view.pan(Infinity, extent(3));
  assert.equal(view.back, 0, 'there is nothing to scroll to');
});
