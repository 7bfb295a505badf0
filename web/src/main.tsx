import './app.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { listenForKeys } from './keys.ts';
import { start } from './session.ts';

const root = document.getElementById('app');
if (!root) throw new Error('index.html has no #app');
render(<App />, root);
listenForKeys();
start();
