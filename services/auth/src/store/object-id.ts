import { Types } from 'mongoose';

export const objectId = (id: string): Types.ObjectId => Types.ObjectId.createFromHexString(id);
