// In a container: the development double of MongoDB, under the name and port that docker-compose.yml gives mongod. It knows no
// users, so what a user may do is not tried here.
import { startMongo } from '@tollgate/dev-databases';
import { forward } from './forward.ts';

const PORT = 27_018;
const database = await startMongo({
  dataDir: '/data',
  durable: true,
  env: { PATH: process.env['PATH'], XDG_CACHE_HOME: '/cache', MONGOMS_RUNTIME_DOWNLOAD: 'false' },
  port: PORT,
});
const server = forward(PORT);
server.listen(27_017);
process.stdout.write(`${database.engine}\n`);
process.once('SIGTERM', () => {
  server.close();
  void database.stop().finally(() => process.exit(0));
});
