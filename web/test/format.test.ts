import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clock, decimals, fixed, percent, plural, sizeText, tapeTime } from '../src/format.ts';

test('decimals that a step needs', () => {
  const cases: [number | null, number][] = [
    [1, 0],
    [1000, 0],
    [0.5, 1],
    [0.25, 2],
    [0.01, 2],
    [0.00001, 5],
    [1e-8, 8],
    [null, 4],
  ];
  for (const [step, digits] of cases) assert.equal(decimals(step, 4), digits, String(step));
});

test('numbers', () => {
  assert.equal(fixed(96842.5, 2), '96,842.50');
  assert.equal(percent(0.0228), '▲ +2.28 %');
  assert.equal(percent(-0.5), '▼ −50.00 %');
  assert.equal(plural(1, 'gap'), '1 gap');
  assert.equal(plural(0, 'gap'), '0 gaps');
});

test('sizes fit a column and never become a false zero', () => {
  assert.equal(sizeText(1.5, 8), '1.50000');
  assert.equal(sizeText(12345.678, 8), '12,345.68');
  assert.equal(sizeText(1234567.8, 8), '1,234,568');
  assert.equal(sizeText(0.000001, 8), '<0.00001');
  assert.equal(sizeText(0, 8), '0.00000');
  assert.equal(sizeText(7, 0), '7');
});

test('times are UTC', () => {
  assert.equal(clock(1_700_000_000), '22:13:20');
  assert.equal(clock(1_700_000_000, false), '22:13');
  assert.equal(tapeTime(1_700_000_000_123_456_789), '22:13:20.12');
});
