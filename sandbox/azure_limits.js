// What Azure's tables refuse and Azurite takes. Azurite loads this before itself (node --require), so that it holds for
// whoever calls: tests, the app in a process of its own, the real host, the command line.
//
// Limits: https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
// Filters: https://learn.microsoft.com/rest/api/storageservices/querying-tables-and-entities
// Codes: https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes
'use strict';

const path = require('path');

const azurite = (name) => require(path.join(path.dirname(process.argv[1]), 'table', name)).default;
const TableHandler = azurite('handlers/TableHandler');
const StorageContext = azurite('context/TableStorageContext');
const StorageError = azurite('errors/StorageError');

const MOST_PROPERTIES = 252;
const LONGEST_NAME = 255;
const ENTITY_BYTES = 1024 * 1024;
const MOST_COMPARISONS = 15;
const FIRST_DATE = Date.parse('1601-01-01T00:00:00Z');

const OF_THE_SYSTEM = new Set(['PartitionKey', 'RowKey', 'Timestamp']);
const NAME = /^[\p{L}_][\p{L}\p{Nd}_]*$/u;
const FIXED_BYTES = { 'Edm.Boolean': 1, 'Edm.DateTime': 8, 'Edm.Double': 8, 'Edm.Guid': 16, 'Edm.Int32': 4, 'Edm.Int64': 8 };

const { checkProperties, deleteEntity, queryEntities, queryEntitiesWithPartitionAndRowKey } = TableHandler.prototype;

Object.assign(TableHandler.prototype, {
  checkProperties(context, properties) {
    checkProperties.call(this, context, properties);
    const names = Object.keys(properties).filter((name) => !name.includes('@') && !name.startsWith('odata.'));
    const own = names.filter((name) => !OF_THE_SYSTEM.has(name));
    const type = (name) => properties[`${name}@odata.type`];
    refuseIf(context, own.length > MOST_PROPERTIES, 'TooManyProperties');
    refuseIf(context, own.some((name) => name.length > LONGEST_NAME), 'PropertyNameTooLong');
    refuseIf(context, own.some((name) => !NAME.test(name)), 'PropertyNameInvalid');
    const dates = own.filter((name) => type(name) === 'Edm.DateTime' && properties[name] !== null);
    refuseIf(context, dates.some((name) => Date.parse(properties[name]) < FIRST_DATE), 'OutOfRangeInput');
    const bytes = names.reduce((sum, name) => sum + 8 + 2 * name.length + bytesOf(properties[name], type(name)), 4);
    refuseIf(context, bytes > ENTITY_BYTES, 'EntityTooLarge');
  },

  async deleteEntity(table, partitionKey, rowKey, ifMatch, options, context) {
    checkKeys(this, partitionKey, rowKey, context);
    return deleteEntity.call(this, table, partitionKey, rowKey, ifMatch, options, context);
  },

  async queryEntities(table, options, context) {
    const filter = (options.queryOptions?.filter ?? '').replace(/'(?:[^']|'')*'/g, "''");
    const comparisons = filter.match(/\b(?:eq|ne|gt|ge|lt|le)\b/g) ?? [];
    refuseIf(context, comparisons.length > MOST_COMPARISONS, 'InvalidInput');
    return queryEntities.call(this, table, options, context);
  },

  async queryEntitiesWithPartitionAndRowKey(table, partitionKey, rowKey, options, context) {
    checkKeys(this, partitionKey, rowKey, context);
    return queryEntitiesWithPartitionAndRowKey.call(this, table, partitionKey, rowKey, options, context);
  },
});

// Azurite looks at keys where it writes, Azure also where it reads.
function checkKeys(handler, partitionKey, rowKey, context) {
  const keys = TableHandler.getAndCheckKeys(partitionKey, rowKey, new StorageContext(context), context);
  keys.forEach((key) => handler.validateKey(context, key));
}

// Texts are kept in UTF-16, as JavaScript counts them.
function bytesOf(value, type) {
  if (value === null || value === undefined) return 0;
  if (type === 'Edm.Binary') return 4 + Buffer.byteLength(value, 'base64');
  if (type !== undefined && type in FIXED_BYTES) return FIXED_BYTES[type];
  if (typeof value === 'string') return 4 + 2 * value.length;
  return typeof value === 'boolean' ? 1 : 8;
}

function refuseIf(context, refused, code) {
  if (refused) throw new StorageError(400, code, `Azure refuses this: ${code}.`, context.contextID, undefined, context);
}
