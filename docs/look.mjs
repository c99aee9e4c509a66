// See look.sh.
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [book, pictures] = process.argv.slice(2);
// What no reader looks at, and what repeats the others.
const aside = ['404.html', 'index.html', 'print.html', 'toc.html'];
const pages = readdirSync(book).filter((name) => name.endsWith('.html') && !aside.includes(name));

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
let sideways = 0;
for (const colorScheme of ['light', 'dark']) {
    for (const width of [390, 1280]) {
        const context = await browser.newContext({ colorScheme, viewport: { width, height: 844 } });
        const page = await context.newPage();
        for (const name of pages) {
            await page.goto(pathToFileURL(resolve(book, name)).href);
            const over = await page.evaluate(() => {
                const root = document.documentElement;
                return root.scrollWidth - root.clientWidth;
            });
            if (over > 0) {
                sideways += 1;
                console.error(`${name} scrolls sideways by ${over} px at ${width} px, ${colorScheme}`);
            }
            const path = `${pictures}/${name.replace('.html', '')}-${width}-${colorScheme}.png`;
            await page.screenshot({ path, fullPage: true });
        }
        await context.close();
    }
}
await browser.close();
console.log(`${pages.length} pages, ${sideways} times one scrolls sideways`);
process.exit(sideways > 0 || pages.length === 0 ? 1 : 0);
